"use strict";
const canvases = [...document.querySelectorAll("canvas.dots")];
const dots = canvases.map(() => new Map());
const COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#8C6D1F"];
const events = new EventSource("/events");
const put = lists => { for (const [row, ...rest] of lists) for (let i = 0; i < rest.length; i += 2) dots[row].set(rest[i], { code: rest[i + 1], at: performance.now() }); };
events.addEventListener("whole", e => { const w = JSON.parse(e.data); put(w.dots); });
events.addEventListener("dots", e => put(JSON.parse(e.data)));
events.addEventListener("numbers", e => { JSON.parse(e.data).rows.forEach((row, i) => { for (const cell of document.querySelectorAll("#rows tr")[i].querySelectorAll("[data-number]")) cell.textContent = row[cell.dataset.number] ?? "–"; }); });
events.addEventListener("changed", e => { for (const name of JSON.parse(e.data)) htmx.trigger(document.body, "console:" + name); });
function draw() {
  canvases.forEach((canvas, row) => {
    canvas.width = 600; canvas.height = 20;
    const c = canvas.getContext("2d");
    for (const [seat, dot] of dots[row]) {
      const state = dot.code >> 1 & 7;
      c.fillStyle = c.strokeStyle = state === 2 ? "red" : COLORS[dot.code >> 4];
      c.beginPath(); c.arc(10 + seat * 18, 10, 6, 0, 7); state === 1 || state === 4 ? c.fill() : c.stroke();
    }
  });
  requestAnimationFrame(draw);
}
draw();
