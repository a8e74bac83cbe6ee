/* What is wider than a sheet is made smaller, and the contents get their numbers. Run once the document is there. */
(() => {
  const shrink = (box) => {
    let scale = 1;
    for (let tries = 0; tries < 5; tries += 1) { // borders and letters are not exactly half as wide at half the size
      const room = box.parentElement.clientWidth;
      const width = Math.max(box.getBoundingClientRect().width, box.scrollWidth * scale);
      if (!room || width <= room) return;
      scale *= (room - 1) / width;
      box.style.zoom = scale;
    }
  };
  for (const box of document.querySelectorAll("article table, article mjx-container[display=true]")) {
    if (!box.parentElement.closest("table")) shrink(box);
  }
  window.number = (numbers) => {
    for (const place of document.querySelectorAll("body > nav [data-of]")) place.textContent = numbers[place.dataset.of] ?? "";
  };
})();
