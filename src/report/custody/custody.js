"use strict";
// The list of all files. It is decompressed when it comes into sight, and only the rows in sight
// exist, so that a million of them open.
(() => {
  const HEIGHT = 22, MARGIN = 15, TAIL = 26;
  // The maximum height of an element differs among browsers: Firefox has 17,895,697 px.
  const TALLEST = 15000000;
  const DIGEST = 1, HAS_ACTUAL = 2, HAS_EXPECTED = 4;
  const byId = (id) => document.getElementById(id);
  const section = byId("files"), browser = byId("browser"), list = byId("list"), height = byId("height");
  const search = byId("search"), status = byId("status"), shown = byId("shown");
  const statuses = JSON.parse(byId("statuses").textContent);
  let folders = [], lines = [], folderOf, firstHash, hashes, hex = null, found = [], timer = 0;

  const bytes = (id) => Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));

  async function load() {
    const stream = new Blob([bytes("names")]).stream().pipeThrough(new DecompressionStream("gzip"));
    const all = (await new Response(stream).text()).split("\n");
    all.pop();
    hashes = bytes("hashes");
    folders = all.filter((line) => line[0] === "+").map((line) => line.slice(1));
    lines = all.filter((line) => line[0] !== "+");
    folderOf = new Uint32Array(lines.length);
    firstHash = new Uint32Array(lines.length);
    const present = new Set();
    let hash = 0;
    lines.forEach((line, at) => {
      folderOf[at] = parseInt(line.slice(2), 10);
      firstHash[at] = hash;
      hash += (line[1] & HAS_ACTUAL ? 1 : 0) + (line[1] & HAS_EXPECTED ? 1 : 0);
      present.add(line[0]);
    });
    for (const index of [...present].sort()) status.add(new Option(statuses[index], index));
    browser.hidden = false;
    filter();
  }

  const nameOf = (at) => lines[at].slice(lines[at].indexOf(" ") + 1);
  const hexOf = (index) => hex ? hex.slice(index * 64, index * 64 + 64) :
    Array.from(hashes.subarray(index * 32, index * 32 + 32), (byte) => byte.toString(16).padStart(2, "0")).join("");

  function cell(row, name, text) {
    const element = document.createElement("span");
    element.setAttribute("role", "cell");
    element.className = name;
    element.textContent = text;
    row.append(element);
    return element;
  }

  function makeRow(position) {
    const at = found[position], line = lines[at], flags = Number(line[1]);
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", position + 1);
    row.style.top = (position - offset()) * HEIGHT + "px";
    cell(row, "status " + statuses[line[0]], statuses[line[0]]);
    cell(row, "kind-of", flags & DIGEST ? "digest" : "log");
    const whole = folders[folderOf[at]] + "/" + nameOf(at);
    const name = cell(row, "cut", "");
    name.title = whole;
    for (const [part, text] of [["head", whole.slice(0, -TAIL)], ["tail", whole.slice(-TAIL)]]) {
      const span = document.createElement("span");
      span.className = part;
      span.textContent = text;
      name.append(span);
    }
    const actual = flags & HAS_ACTUAL ? hexOf(firstHash[at]) : "";
    const expected = flags & HAS_EXPECTED ? hexOf(firstHash[at] + (actual ? 1 : 0)) : "";
    cell(row, "hash", (actual || "no hash") + (expected ? " recorded " + expected : ""));
    return row;
  }

  // Beyond the maximum height of an element, the rows in sight are those of the same share of the list.
  const full = () => found.length * HEIGHT;
  const offset = () => full() <= TALLEST ? 0 :
    Math.round(list.scrollTop / (TALLEST - list.clientHeight) * (full() - list.clientHeight) / HEIGHT - list.scrollTop / HEIGHT);

  function draw() {
    const start = Math.floor(list.scrollTop / HEIGHT) + offset();
    const first = Math.max(0, start - MARGIN);
    const last = Math.min(found.length, start + Math.ceil(list.clientHeight / HEIGHT) + MARGIN);
    const rows = document.createDocumentFragment();
    for (let position = first; position < last; position++) rows.append(makeRow(position));
    if (first >= last) rows.append(emptyRow());
    height.replaceChildren(rows);
  }

  function emptyRow() {
    const row = document.createElement("div");
    row.setAttribute("role", "row");
    cell(row, "none", lines.length ? "no file fits" : "no file was examined");
    return row;
  }

  // Returns which files have the digits in one of their hashes.
  function withHash(word) {
    if (hex === null) {
      const digits = new Uint8Array(hashes.length * 2), of = new TextEncoder().encode("0123456789abcdef");
      hashes.forEach((byte, at) => { digits[2 * at] = of[byte >> 4]; digits[2 * at + 1] = of[byte & 15]; });
      hex = new TextDecoder().decode(digits);
    }
    const hits = new Set();
    for (let at = hex.indexOf(word); at >= 0; at = hex.indexOf(word, at + 1)) {
      if (at % 64 + word.length <= 64) hits.add(Math.floor(at / 64));
    }
    return hits;
  }

  const hashFits = (flags, first, hits) => {
    const count = (flags & HAS_ACTUAL ? 1 : 0) + (flags & HAS_EXPECTED ? 1 : 0);
    return (count > 0 && hits.has(first)) || (count > 1 && hits.has(first + 1));
  };

  function filter() {
    const word = search.value.trim().toLowerCase(), wanted = status.value;
    // Folders are few, so each is compared once. A word with a slash may span folder and name.
    const fits = folders.map((folder) => folder.toLowerCase().includes(word));
    const spans = word.includes("/");
    const hits = /^[0-9a-f]{4,64}$/.test(word) ? withHash(word) : new Set();
    found = [];
    lines.forEach((line, at) => {
      if (wanted && line[0] !== wanted) return;
      if (word && !fits[folderOf[at]] && !nameOf(at).toLowerCase().includes(word) &&
        !(spans && (folders[folderOf[at]] + "/" + nameOf(at)).toLowerCase().includes(word)) &&
        !hashFits(line[1], firstHash[at], hits)) return;
      found.push(at);
    });
    list.setAttribute("aria-rowcount", found.length);
    height.style.height = Math.min(TALLEST, Math.max(1, found.length) * HEIGHT) + "px";
    list.scrollTop = 0;
    shown.textContent = found.length + " of " + lines.length + " files";
    draw();
  }

  // The list is made when it comes near the window.
  const watcher = new IntersectionObserver((entries) => {
    if (!entries.some((entry) => entry.isIntersecting)) return;
    watcher.disconnect();
    // A browser without DecompressionStream, or with too little memory, shows the sentence instead.
    load().catch(() => { byId("failed").hidden = false; });
  }, { rootMargin: "600px" });
  watcher.observe(section);
  list.addEventListener("scroll", () => requestAnimationFrame(draw));
  window.addEventListener("resize", () => hashes && draw());
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(filter, 120); });
  status.addEventListener("change", filter);
  // A link to a chain whose section is folded opens it.
  window.addEventListener("hashchange", () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target instanceof HTMLDetailsElement) target.open = true;
  });
})();
