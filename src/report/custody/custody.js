"use strict";
// The list of all files: only the rows that are in sight exist, so that a hundred thousand of them freeze nothing.
(() => {
  const HEIGHT = 20, MARGIN = 20;
  const details = document.getElementById("files"), list = document.getElementById("list");
  const height = document.getElementById("height"), view = document.getElementById("window");
  const search = document.getElementById("search"), status = document.getElementById("status"), shown = document.getElementById("shown");
  let rows = null, folders = [], found = [];

  const text = (row) => row[0].padEnd(11) + (row[1] ? "digest " : "log    ") + (row[4] || "-".padEnd(64)) +
    (row[5] ? " recorded " + row[5] : "") + "  " + folders[row[2]] + "/" + row[3];

  function draw() {
    const first = Math.max(0, Math.floor(list.scrollTop / HEIGHT) - MARGIN);
    const last = Math.min(found.length, first + Math.ceil(list.clientHeight / HEIGHT) + 2 * MARGIN);
    const lines = document.createDocumentFragment();
    for (let at = first; at < last; at++) {
      const line = document.createElement("div");
      line.className = found[at][0];
      line.setAttribute("role", "row");
      line.textContent = text(found[at]);
      lines.append(line);
    }
    view.style.top = first * HEIGHT + "px";
    view.replaceChildren(lines);
  }

  function filter() {
    const word = search.value.trim().toLowerCase(), wanted = status.value;
    // Whether a folder's name fits is found out once for each.
    const fits = folders.map((folder) => folder.toLowerCase().includes(word));
    found = rows.filter((row) => (!wanted || row[0] === wanted) && (!word || fits[row[2]] || row[3].toLowerCase().includes(word) ||
      (row[4] || "").includes(word) || (row[5] || "").includes(word) || (folders[row[2]] + "/" + row[3]).toLowerCase().includes(word)));
    height.style.height = found.length * HEIGHT + "px";
    list.scrollTop = 0;
    shown.textContent = found.length + " of " + rows.length + " files";
    draw();
  }

  details.addEventListener("toggle", () => {
    if (!details.open || rows) return;
    folders = JSON.parse(document.getElementById("folders").textContent);
    rows = JSON.parse(document.getElementById("rows").textContent);
    for (const word of [...new Set(rows.map((row) => row[0]))].sort()) status.add(new Option(word, word));
    filter();
  });
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  window.addEventListener("resize", () => rows && draw());
  search.addEventListener("input", filter);
  status.addEventListener("change", filter);
})();
