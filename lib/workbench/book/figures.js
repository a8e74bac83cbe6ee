/* Figures that enlarge, in a dialog: by a click on the picture, or by the button in its corner. Escape leads back. */
"use strict";

(() => {
  const pictures = [...document.querySelectorAll("article :is(figure, .cell_output) img")].filter((image) => !image.closest("a"));
  if (!pictures.length) return;
  const dialog = document.createElement("dialog");
  dialog.className = "workbench-large";
  dialog.innerHTML = '<form method="dialog"><button aria-label="Close">×</button></form><div tabindex="0"></div><p></p>';
  document.body.append(dialog);
  const [place, caption] = dialog.querySelectorAll("div, p");
  place.setAttribute("role", "region");
  place.setAttribute("aria-label", "The figure, which scrolls");

  function show(image, button) {
    const said = image.closest("figure")?.querySelector("figcaption")?.cloneNode(true);
    said?.querySelectorAll(".headerlink, mjx-assistive-mml").forEach((part) => part.remove());
    const large = image.cloneNode();
    ["style", "width", "height", "loading", "id"].forEach((name) => large.removeAttribute(name));
    large.style.setProperty("--ratio", image.naturalWidth / image.naturalHeight || 1);
    place.replaceChildren(large);
    caption.textContent = said?.textContent.replace(/\s+/g, " ").trim() ?? "";
    dialog.setAttribute("aria-label", caption.textContent.slice(0, 80) || "Figure");
    button.focus({ preventScroll: true });  // to which the browser returns
    dialog.showModal();
    place.scrollTo(0, 0);
  }

  pictures.forEach((image) => {
    const frame = document.createElement("span"), button = document.createElement("button");
    frame.className = "workbench-enlarge";
    button.type = "button";
    button.textContent = "⤢";
    const number = image.closest("figure")?.querySelector(".caption-number")?.textContent.trim();
    button.setAttribute("aria-label", number ? `Enlarge ${number}` : "Enlarge the figure");
    button.title = "Enlarge";
    ["only-light", "only-dark"].filter((name) => image.classList.contains(name)).forEach((name) => frame.classList.add(name));
    if (image.style.width.endsWith("%")) {
      frame.style.width = image.style.width;
      image.style.width = "100%";
    }
    image.before(frame);
    frame.append(image, button);
    image.addEventListener("click", () => show(image, button));
    button.addEventListener("click", () => show(image, button));
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());  // beside it
})();
