/* The order of search results: what is called as was asked (a term of the glossary, a chapter, a section), then the pages that say
   it, and the reference of functions last. Sphinx puts this into its own script (html_search_scorer). */
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    if (page.startsWith("book/api/")) return score - 22;
    if (anchor.startsWith("#term-")) return 0.35 * score; // Sphinx gives index entries up to 100
    return title.includes(" > ") && !description ? 2 * score : score;
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
