/* The arrow that opens a nested part of the contents has a name, which the theme does not give it. */
"use strict";

for (const summary of document.querySelectorAll("li.has-children > details > summary")) {
  summary.setAttribute("aria-label", `Pages of ${summary.closest("li").querySelector("a").textContent.trim()}`);
}
