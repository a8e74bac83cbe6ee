/* Back to where one was: the last page and section that was read, offered on the first page. Kept in this browser alone. */
"use strict";

(() => {
  const root = new URL(document.documentElement.dataset.content_root ?? ".", location.href), key = `workbench-place ${root}`;
  const page = location.pathname.slice(root.pathname.length), article = document.querySelector("article");
  const headings = [...(article?.querySelectorAll("section > :is(h1, h2, h3)") ?? [])];
  const words = (heading) => heading.firstChild && [...heading.childNodes].filter((node) => !node.classList?.contains("headerlink"))
    .map((node) => node.textContent).join("").trim();
  let kept = null;
  try {
    kept = JSON.parse(localStorage.getItem(key));
  } catch {  // no storage, or not ours
    return;
  }

  const first = document.querySelector("a.navbar-brand");
  if (first && new URL(first.href).pathname === location.pathname) {
    if (typeof kept?.page !== "string" || !/^[\w./-]+\.html$/.test(kept.page)) return;
    const offer = document.createElement("p"), link = document.createElement("a");
    link.href = new URL(kept.page, root) + (kept.section ? `#${encodeURIComponent(kept.section)}` : "");
    link.textContent = [kept.title, kept.heading].filter(Boolean).join(" › ");
    offer.className = "workbench-place";
    offer.append("You were last at ", link, ".");
    headings[0]?.after(offer);
    return;
  }
  if (!/^(book|notebooks)\//.test(page) || !headings.length) return;

  function keep() {
    const [title] = headings, heading = headings.findLast((each) => each.getBoundingClientRect().top < innerHeight / 3);
    const inside = heading && heading !== title;
    const place = { page, title: words(title), section: inside ? heading.closest("section").id : "", heading: inside ? words(heading) : "" };
    try {
      localStorage.setItem(key, JSON.stringify(place));
    } catch {}  // no room
  }
  addEventListener("pagehide", keep);
  document.addEventListener("visibilitychange", () => document.visibilityState === "hidden" && keep());
  keep();
})();
