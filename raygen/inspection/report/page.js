"use strict";
// Filters the cards, and shows a few at a time. Without it every card is there.
(() => {
  const STEP = 12;
  const form = document.getElementById("filters");
  const found = document.getElementById("found");
  const more = document.getElementById("more");
  const cards = Array.from(document.querySelectorAll("#cards > .card"), (box) => ({
    box,
    text: box.textContent.toLocaleLowerCase(),
  }));
  let shown = STEP;

  function matching() {
    const choices = Array.from(form.querySelectorAll("select"), (one) => [one.name, one.value])
      .filter(([, value]) => value !== "");
    const words = form.elements.namedItem("text").value.trim().toLocaleLowerCase();
    return cards.filter((card) =>
      choices.every(([name, value]) => card.box.dataset[name] === value)
      && card.text.includes(words));
  }

  function show() {
    const fitting = matching();
    const visible = new Set(fitting.slice(0, shown));
    for (const card of cards) {
      card.box.hidden = !visible.has(card);
    }
    found.textContent = fitting.length === 0 ? "none like that"
      : `${visible.size} of ${fitting.length} shown`;
    more.hidden = visible.size === fitting.length;
  }

  form.addEventListener("input", () => { shown = STEP; show(); });
  form.addEventListener("submit", (event) => event.preventDefault());
  more.addEventListener("click", () => {
    const before = shown;
    shown += STEP;
    show();
    const next = matching()[before];
    if (next) {
      next.box.tabIndex = -1;
      next.box.focus({ preventScroll: true });
    }
  });
  form.hidden = false;
  show();
})();
