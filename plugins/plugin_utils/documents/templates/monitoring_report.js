"use strict";
// Finds clients by word and by state, and sorts them by a column. Without it the table stands as it is, the worst first.
const table = document.querySelector("#clients + .find + table"), body = table.tBodies[0], rows = [...body.rows];
const find = document.querySelector(".find"), [word, state] = find.querySelectorAll("input, select");
const plain = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
const texts = new Map(rows.map(row => [row, plain(row.textContent)]));
const columns = ["name", "state", "last", "volume"];

function choose() {
  const words = plain(word.value).split(/\s+/), left = rows.filter(row =>
    (!state.value || row.dataset.state === state.value) && words.every(one => texts.get(row).includes(one)));
  for (const row of rows) row.hidden = !left.includes(row);
  find.querySelector("output").textContent = `${left.length} sur ${rows.length}`;
}

function sort(header, key) {
  const down = header.getAttribute("aria-sort") === "ascending", way = down ? -1 : 1;
  const values = new Map(rows.map(row => [row, key === "name" ? row.cells[0].textContent : +row.dataset[key]]));
  const compare = (a, b) => key === "name" ? a.localeCompare(b, "fr") : a - b;
  for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", down ? "descending" : "ascending");
  body.append(...rows.sort((a, b) => way * compare(values.get(a), values.get(b))));
}

columns.forEach((key, place) => {
  const header = table.tHead.rows[0].cells[place], button = document.createElement("button");
  button.append(...header.childNodes);
  header.append(button);
  button.addEventListener("click", () => sort(header, key));
});
find.hidden = false;
find.addEventListener("input", choose);
find.addEventListener("submit", event => event.preventDefault());
choose();
