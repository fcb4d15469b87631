// The grid of a list: keys between rows, and rows that are added and removed without asking the server. The
// form works without it.
"use strict";

(() => {
  const grid = document.getElementById("grid");
  if (!grid) return;
  const body = grid.tBodies[0];
  const add = document.getElementById("add-rows");
  let isEdited = false;

  add.type = "button";
  add.textContent = "Add a row";
  add.addEventListener("click", () => {
    const row = addRow();
    number(row);
    row.querySelector('input[name="cell"]').focus();
  });

  for (const row of body.rows) prepare(row);

  // A button in place of the box that works without scripts.
  function prepare(row) {
    const label = row.querySelector("label");
    if (!label) return;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "quiet remove";
    button.append("Remove");
    const unseen = label.querySelector(".unseen");
    button.setAttribute("aria-label", unseen.textContent);
    label.replaceWith(button);
  }

  function addRow() {
    const last = body.lastElementChild;
    const row = last.cloneNode(true);
    row.querySelectorAll("input").forEach((input) => {
      input.value = "";
      input.removeAttribute("value");
    });
    body.append(row);
    isEdited = true;
    return row;
  }

  // Numbers, and the names that screen readers say, from a row on. Those before it keep theirs.
  function number(first) {
    const columns = [...grid.tHead.rows[0].cells].slice(1, -1).map((cell) => cell.textContent);
    let at = first.sectionRowIndex;
    for (let row = first; row; row = row.nextElementSibling, at++) {
      row.cells[0].firstChild.textContent = at + 1;
      cells(row).forEach((cell, column) => cell.setAttribute("aria-label", `${columns[column]}, row ${at + 1}`));
      row.querySelector("button.remove")?.setAttribute("aria-label", `Remove row ${at + 1}`);
    }
  }

  const cells = (row) => [...row.querySelectorAll('input[name="cell"]')];

  body.addEventListener("click", (event) => {
    const button = event.target.closest("button.remove");
    if (!button) return;
    const row = button.closest("tr");
    const below = row.nextElementSibling;
    const next = below ?? row.previousElementSibling;
    if (body.rows.length === 1) {
      cells(row).forEach((cell) => (cell.value = ""));
    } else {
      row.remove();
      if (below) number(below);
    }
    isEdited = true;
    (next?.querySelector("button.remove") ?? add).focus();
  });

  body.addEventListener("keydown", (event) => {
    const cell = event.target.closest('input[name="cell"]');
    const step = { Enter: 1, ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!cell || !step || event.ctrlKey || event.metaKey || event.isComposing) return;
    event.preventDefault();
    const row = cell.closest("tr");
    const column = cells(row).indexOf(cell);
    const isLast = !row.nextElementSibling && step > 0;
    const isNew = isLast && event.key === "Enter";
    const target = isNew ? addRow() : step > 0 ? row.nextElementSibling : row.previousElementSibling;
    if (isNew) number(target);
    if (target) {
      cells(target)[column].focus();
      cells(target)[column].select();
    }
  });

  // Several cells from a spreadsheet.
  body.addEventListener("paste", (event) => {
    const cell = event.target.closest('input[name="cell"]');
    const text = event.clipboardData.getData("text/plain").replace(/\r?\n$/, "");
    if (!cell || !/[\t\n]/.test(text)) return;
    event.preventDefault();
    let row = cell.closest("tr");
    const column = cells(row).indexOf(cell);
    const last = body.lastElementChild;
    text.split(/\r?\n/).forEach((line, at) => {
      if (at > 0) row = row.nextElementSibling ?? addRow();
      line.split("\t").forEach((value, offset) => {
        const target = cells(row)[column + offset];
        if (target) target.value = value.trim();
      });
    });
    // Once for all rows that were added: each one takes a while.
    if (last.nextElementSibling) number(last.nextElementSibling);
    isEdited = true;
  });

  body.addEventListener("input", () => (isEdited = true));
  document.getElementById("grid-form").addEventListener("submit", () => (isEdited = false));
  window.addEventListener("beforeunload", (event) => {
    if (isEdited) event.preventDefault();
  });
})();
