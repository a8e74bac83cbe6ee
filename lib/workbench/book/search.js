/* The sentence around the hit, under each search result, and a link to its section. The texts come as scripts, one a page, which
   a browser also loads from disk (workbench.book.passages). */
"use strict";

(() => {
  const results = document.getElementById("search-results"), pages = new Map(), longest = 260;
  if (!results) return;

  window.workbenchPassages = (page, passages) => pages.get(page)?.resolve(passages);
  function load(page) {
    if (!pages.has(page)) {
      const entry = {};
      entry.passages = new Promise((resolve) => Object.assign(entry, { resolve }));
      pages.set(page, entry);
      const script = document.createElement("script");
      script.src = new URL(`_static/passages/${page}.js`, location.href);
      script.onerror = () => entry.resolve([]);
      document.head.append(script);
    }
    return pages.get(page).passages;
  }

  /* What finds the words of a query in a text, in any of their endings. */
  function hits(query) {
    const escaped = (word) => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), stemmer = new Stemmer();
    return splitQuery(query.toLowerCase()).filter((word) => !stopwords.includes(word))
      .map((word) => new RegExp(`(?<![\\p{L}\\p{N}])(?:${escaped(word)}|${escaped(stemmer.stemWord(word))})[\\p{L}\\p{N}]*`, "giu"));
  }

  function best(passages, words) {
    let found = { count: 0 };
    const sentences = new Intl.Segmenter("en", { granularity: "sentence" });
    for (const [anchor, text] of passages) {
      if (words.filter((word) => text.search(word) >= 0).length <= found.count) continue;
      for (const { segment } of sentences.segment(text)) {
        const count = words.filter((word) => segment.search(word) >= 0).length;
        if (count > found.count) found = { anchor, count, sentence: segment.trim() };
      }
    }
    return found;
  }

  /* A sentence, cut around its first hit where it is long, with its hits marked. */
  function shown(sentence, words) {
    const paragraph = document.createElement("p");
    paragraph.className = "context";
    let start = 0, text = sentence;
    if (text.length > longest) {
      const first = Math.min(...words.map((word) => sentence.search(word)).filter((at) => at >= 0), text.length - longest);
      start = first < longest / 2 ? 0 : text.indexOf(" ", first - longest / 2) + 1;
      text = (start ? "… " : "") + text.slice(start, start + longest).replace(/\s\S*$/, " …");
    }
    const all = words.flatMap((word) => [...text.matchAll(word)]).sort((one, other) => one.index - other.index);
    let at = 0;
    for (const hit of all) {
      if (hit.index < at) continue;
      const mark = document.createElement("mark");
      mark.textContent = hit[0];
      paragraph.append(text.slice(at, hit.index), mark);
      at = hit.index + hit[0].length;
    }
    paragraph.append(text.slice(at));
    return paragraph;
  }

  async function explain(item, words) {
    const link = item.querySelector("a"), [page, anchor] = link.getAttribute("href").split(/\.html#?/);
    if (item.querySelector(":scope > span, :scope > p") || !words.length) return;  // a function says what it is
    const passages = await load(page), inside = passages.filter(([each]) => each === decodeURIComponent(anchor));
    let found = best(anchor ? inside : passages, words);
    if (!found.count && inside.length) found = { sentence: (inside.find(([, text]) => /\.$/.test(text)) ?? inside[0])[1] };
    if (!found.sentence) return;
    if (!anchor && found.anchor) link.setAttribute("href", `${page}.html#${found.anchor}`);
    item.append(shown(found.sentence, words));
  }

  new MutationObserver((changes) => {
    const words = hits(new URLSearchParams(location.search).get("q") ?? "");
    changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.nodeName === "LI").forEach((item) => explain(item, words));
  }).observe(results, { childList: true, subtree: true });
})();
