// Reads numbers off the pictures and switches series and panels. The page is whole without it.
"use strict";
(() => {
  const root = document.documentElement, tip = document.getElementById("tip");
  root.classList.add("js");

  for (const figure of document.querySelectorAll("figure.pictures")) {
    figure.addEventListener("click", ({ target }) => {
      const button = target.closest("button");
      if (!button) return;
      const on = button.getAttribute("aria-pressed") !== "true";
      button.setAttribute("aria-pressed", on);
      if (button.dataset.series) {
        for (const mark of figure.querySelectorAll(`.series.${button.dataset.series}`)) mark.classList.toggle("gone", !on);
      } else {
        for (const panel of figure.querySelectorAll(`.panel[data-group="${button.dataset.group}"]`)) panel.classList.toggle("off", !on);
      }
    });
  }

  const read = (text) => text.split(" ").map(Number);
  const axis = (text) => {
    const [log, low, high, start, end] = read(text), f = log ? Math.log : (v) => v;
    return (v) => start + ((f(v) - f(low)) / (f(high) - f(low))) * (end - start);
  };
  const number = (v) => (Math.abs(v) >= 1e5 || (v && Math.abs(v) < 1e-3) ? v.toExponential(2) : String(+v.toPrecision(5)));
  const known = new WeakMap();
  const plotOf = (svg) => {
    if (known.has(svg)) return known.get(svg);
    const x = axis(svg.dataset.x), y = axis(svg.dataset.y);
    const series = [...svg.querySelectorAll("[data-xs]")].map((mark) => {
      const xs = read(mark.dataset.xs), ys = read(mark.dataset.ys);
      return { mark, name: mark.dataset.name, colour: getComputedStyle(mark).getPropertyValue("--c"), xs, ys, px: xs.map(x), py: ys.map(y) };
    }).filter((s) => s.mark.dataset.xs);
    known.set(svg, series);
    return series;
  };
  const nearest = (s, at, how) => s.px.reduce((best, _, i) => (how(s, i, at) < how(s, best, at) ? i : best), 0);
  const alongX = (s, i, at) => Math.abs(s.px[i] - at.x);
  const around = (s, i, at) => Math.hypot(s.px[i] - at.x, s.py[i] - at.y);

  const line = (left, right, look) => {
    const div = document.createElement("div"), a = document.createElement("span"), b = document.createElement("span");
    a.textContent = left; b.textContent = right;
    if (look) (look === "over" ? div.classList.add("over") : (a.style.color = look));
    div.append(a, b);
    return div;
  };
  const place = (event) => {
    tip.hidden = false;
    const wide = tip.offsetWidth, high = tip.offsetHeight, gap = 14;
    const left = event.clientX + gap + wide > innerWidth ? event.clientX - gap - wide : event.clientX + gap;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${Math.max(4, Math.min(event.clientY + gap, innerHeight - high - 4))}px`;
  };
  const hide = () => { tip.hidden = true; for (const c of document.querySelectorAll(".cursor")) c.remove(); };
  const cursor = (svg, px) => {
    const [, , , start, end] = read(svg.dataset.y), mark = document.createElementNS("http://www.w3.org/2000/svg", "path");
    mark.setAttribute("class", "cursor"); mark.setAttribute("d", `M${px} ${start}V${end}`);
    svg.append(mark);
  };

  const sides = (told) => {
    const table = document.createElement("table"), row = (cells, kind, span) => {
      const tr = table.insertRow();
      for (const text of cells) { const cell = document.createElement(kind); cell.textContent = text; cell.colSpan = span; tr.append(cell); }
    };
    const [left, right] = [told.left, told.right].map((text) => text.split("\n").map((pair) => pair.split("\t")));
    row(told.heads.split("|"), "th", 2);
    left.forEach((pair, i) => row([...pair, ...(right[i] ?? ["", ""])], "td", 1));
    return table;
  };
  const tell = (event) => {
    hide();
    const token = event.target.closest?.("[data-left]");
    if (token) { tip.replaceChildren(line(token.dataset.over, "", "over"), sides(token.dataset)); return place(event); }
    const said = event.target.closest?.("[data-tip]");
    if (said) { tip.textContent = said.dataset.tip; return place(event); }
    const svg = event.target.closest?.("svg.plot[data-hover]");
    if (!svg) return;
    const series = plotOf(svg).filter((s) => !s.mark.classList.contains("gone"));
    if (!series.length) return;
    const box = svg.getBoundingClientRect(), scale = svg.viewBox.baseVal.width / box.width;
    const at = { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
    const how = svg.dataset.hover === "x" ? alongX : around;
    let found = series.map((s) => ({ s, i: nearest(s, at, how) }));
    found.sort((a, b) => how(a.s, a.i, at) - how(b.s, b.i, at));
    const first = found[0];
    if (how === around && around(first.s, first.i, at) > 24) return;
    if (how === around) found = [first];
    cursor(svg, first.s.px[first.i]);
    const lines = found.filter(({ s, i }) => Math.abs(s.px[i] - first.s.px[first.i]) < 12).sort((a, b) => a.s.py[a.i] - b.s.py[b.i]);
    tip.replaceChildren(line(svg.dataset.over, number(first.s.xs[first.i]), "over"), ...lines.map(({ s, i }) => line(s.xs[i] === first.s.xs[first.i] ? s.name : `${s.name} (at ${number(s.xs[i])})`, number(s.ys[i]), s.colour)));
    place(event);
  };
  addEventListener("pointermove", tell, { passive: true });
  addEventListener("pointerdown", tell, { passive: true });
  addEventListener("scroll", hide, { passive: true });
})();
