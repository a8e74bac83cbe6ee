/* The order of search results: sections that are called as was asked, then pages; the reference of functions comes last.
   Sphinx puts this into its own script (html_search_scorer). */
var Scorer = {
  score: ([page, title, anchor, description, score]) => {
    if (page.startsWith("book/api/")) return score - 14;
    return anchor && !description && title.includes(" > ") ? 2 * score : score;
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
