"use strict";
(() => {
  const all = (query, root = document) => [...root.querySelectorAll(query)];
  const make = (tag, text, attributes = {}) => {
    const element = document.createElement(tag);
    element.textContent = text;
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    return element;
  };

  // Tables are sorted by a click on a head: by data-k, or by a text that is a number, before all other texts. Equal rows stay in their order.
  const keyOf = (row, column) => {
    const field = row.cells[column];
    const text = field.dataset.k ?? field.textContent;
    return text === "" || Number.isNaN(Number(text)) ? text : Number(text);
  };
  const before = (a, b) => {
    if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
    return typeof a === "number" ? (a === b ? 0 : a < b ? -1 : 1) : a.localeCompare(b, "en", { numeric: true });
  };
  const sort = (table, column, head) => {
    const sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
    for (const other of all("thead th", table)) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row, column), row]);
    rows.sort((a, b) => sign * before(a[0], b[0]));
    table.tBodies[0].append(...rows.map((pair) => pair[1]));
  };
  for (const table of all("table")) {
    if (table.tBodies[0].rows.length < 2) continue;
    all("thead th", table).forEach((head, column) => {
      // No real button: Chromium leaves those out where a printed table's head is repeated.
      const button = make("span", head.textContent, { role: "button", tabindex: "0" });
      button.addEventListener("click", () => sort(table, column, head));
      button.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        sort(table, column, head);
      });
      head.replaceChildren(button);
    });
    if (table.tBodies[0].rows.length < 30) continue;
    const caption = table.caption.textContent;
    const search = make("input", "", { type: "search", placeholder: "Filter rows", "aria-label": "Filter rows: " + caption });
    search.addEventListener("input", () => {
      const words = search.value.toLowerCase().split(/\s+/);
      for (const row of table.tBodies[0].rows) {
        const text = row.textContent.toLowerCase();
        row.hidden = !words.every((word) => text.includes(word));
      }
    });
    table.parentElement.before(search);
  }

  for (const code of all("td.command code")) {
    code.title = code.textContent;
    const button = make("button", "copy", { type: "button", "aria-label": "Copy the command" });
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "copied";
      setTimeout(() => { button.textContent = "copy"; }, 1500);
    });
    code.after(button);
  }

  // A solver's name in a legend hides its lines, and shows them again, in all figures.
  const hidden = new Set();
  for (const item of all(".legend li")) {
    const button = make("button", "", { type: "button", "aria-pressed": "true", title: "Show or hide in all figures" });
    button.append(...item.childNodes);
    item.append(button);
    button.addEventListener("click", () => {
      const solver = item.dataset.s;
      if (!hidden.delete(solver)) hidden.add(solver);
      for (const line of all(`figure [data-s="${solver}"]`)) line.classList.toggle("off", hidden.has(solver));
      for (const same of all(`.legend li[data-s="${solver}"] button`)) same.setAttribute("aria-pressed", String(!hidden.has(solver)));
    });
  }

  const theme = make("button", "", { type: "button", class: "tool" });
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const label = () => { theme.textContent = dark() ? "Light" : "Dark"; };
  theme.addEventListener("click", () => { document.documentElement.dataset.theme = dark() ? "light" : "dark"; label(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", label);
  label();
  document.querySelector(".brand").append(theme);

  // Links into folded parts open them; paper shows everything.
  const reveal = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (let at = target; at; at = at.parentElement) if (at.tagName === "DETAILS") at.open = true;
    if (target) target.scrollIntoView();
  };
  addEventListener("hashchange", reveal);
  reveal();
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = all("details:not([open])");
    for (const part of folded) part.open = true;
    for (const row of all("tr[hidden]")) { row.hidden = false; row.dataset.filtered = ""; }
  });
  addEventListener("afterprint", () => {
    for (const part of folded) part.open = false;
    for (const row of all("tr[data-filtered]")) { row.hidden = true; delete row.dataset.filtered; }
  });
})();
