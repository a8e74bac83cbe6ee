/* Tables inside interactive figures are wide: the keyboard can scroll them. */
"use strict";

document.querySelectorAll("article figure .scroll").forEach((box) => {
  box.tabIndex = 0;
  box.setAttribute("role", "region");
  const summary = box.closest("details")?.querySelector("summary");
  if (!box.hasAttribute("aria-label")) box.setAttribute("aria-label", summary?.textContent ?? "A table");
});
