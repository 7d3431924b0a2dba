// The cart: choose a whole table at once, and say on each table how many variables are chosen.
const cart = document.getElementById("cart");

function tell() {
  for (const table of cart.querySelectorAll("details.table")) {
    const boxes = [...table.querySelectorAll("input[type=checkbox]:not(:disabled)")];
    const chosen = boxes.filter((box) => box.checked).length;
    table.querySelector("[data-count]").textContent = chosen ? `${chosen} of ${boxes.length} in the cart` : `${boxes.length} variables`;
  }
}

cart.addEventListener("change", tell);
cart.addEventListener("click", (event) => {
  const { all, none } = event.target.dataset;
  if (!all && !none) return;
  for (const box of event.target.closest("details").querySelectorAll("input[type=checkbox]:not(:disabled)")) box.checked = Boolean(all);
  cart.dispatchEvent(new Event("change", { bubbles: true }));
});
tell();
