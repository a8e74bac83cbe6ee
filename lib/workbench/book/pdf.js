/* What is wider than a sheet is made smaller, and the contents get their numbers. Run once the document is there. */
(() => {
  const shrink = (box, room) => {
    const width = Math.max(box.scrollWidth, box.getBoundingClientRect().width);
    if (room > 0 && width > room + 1) box.style.zoom = Math.max(room / width, 0.4);
  };
  for (const box of document.querySelectorAll("article table, article mjx-container[display=true]")) {
    if (!box.parentElement.closest("table")) shrink(box, box.parentElement.clientWidth);
  }
  window.number = (numbers) => {
    for (const place of document.querySelectorAll("nav [data-of]")) place.textContent = numbers[place.dataset.of] ?? "";
  };
})();
