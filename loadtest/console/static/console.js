// Draws what the server tells: dots, numbers, lines. Everything else on the page is HTML from the server, which htmx fetches.
"use strict";

const REST_MS = 28; // from one frame to the request for the next: screens of 60 Hz then show 30 frames/s
const PULSE_MS = 180;
const STALE_MS = 3000;
const HIDDEN_MS = 20000;
const LINE_SECONDS = 120;
const MARGIN = 2;
const STATE = { absent: 0, in: 1, out: 2, silent: 3, lost: 4 };

const root = document.documentElement;
const told = document.body.dataset;
const shapes = JSON.parse(told.shapes).map(path => new Path2D(path));
const seats = Number(told.seats);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const dark = matchMedia("(prefers-color-scheme: dark)");

/** The text of data-text-NAME, with the values in its braces. */
function text(name, values = {}) {
  return told["text" + name].replace(/{(\w+)}/g, (whole, key) => values[key] ?? whole);
}

// ---------------------------------------------------------------- dots

/** Pictures of one dot in every state, drawn once per size and colour scheme. */
class Sprites {
  constructor(size, scale) {
    this.size = size;
    this.scale = scale;
    this.pictures = new Map();
    const style = getComputedStyle(root);
    this.colors = shapes.map((_, place) => style.getPropertyValue(`--replica-${place}`).trim());
    this.bad = style.getPropertyValue("--bad").trim();
    this.soft = style.getPropertyValue("--soft").trim();
    this.ink = style.getPropertyValue("--ink").trim();
    this.chosen = style.getPropertyValue("--chosen").trim();
  }

  get(code) {
    let picture = this.pictures.get(code);
    if (!picture) this.pictures.set(code, (picture = this.draw(code)));
    return picture;
  }

  draw(code) {
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = Math.ceil(this.size * this.scale);
    const pen = canvas.getContext("2d");
    pen.scale(canvas.width / 24, canvas.height / 24);
    const state = (code >> 1) & 7;
    const place = (code >> 4) % shapes.length;
    if (state === STATE.out) this.ring(pen);
    else if (state === STATE.silent) this.hollow(pen, place);
    else if (state !== STATE.absent) this.full(pen, place, state === STATE.lost);
    if (code & 1) this.mask(pen);
    return canvas;
  }

  full(pen, place, lost) {
    pen.fillStyle = this.colors[place];
    pen.save();
    if (lost) {
      pen.translate(12, 12);
      pen.scale(0.6, 0.6);
      pen.translate(-12, -12);
    }
    pen.fill(shapes[place]);
    pen.restore();
    if (!lost) return;
    pen.strokeStyle = this.ink;
    pen.lineWidth = 2.2;
    pen.setLineDash([4, 3]);
    pen.beginPath();
    pen.arc(12, 12, 10, 0, 7);
    pen.stroke();
    pen.setLineDash([]);
  }

  ring(pen) {
    pen.strokeStyle = this.bad;
    pen.lineWidth = 3;
    pen.beginPath();
    pen.arc(12, 12, 9, 0, 7);
    pen.moveTo(9, 9);
    pen.lineTo(15, 15);
    pen.moveTo(15, 9);
    pen.lineTo(9, 15);
    pen.stroke();
  }

  hollow(pen, place) {
    pen.strokeStyle = this.soft;
    pen.lineWidth = 2;
    pen.stroke(shapes[place]);
  }

  mask(pen) {
    pen.fillStyle = this.ink;
    pen.fillRect(1, 8, 22, 7);
    pen.clearRect(6, 10, 3.5, 3);
    pen.clearRect(14.5, 10, 3.5, 3);
  }
}

let sprites = null;

/** The dots of one strategy, on a canvas of their own: only rows in which something moves are drawn again. */
class Row {
  constructor(element, place) {
    this.place = place;
    this.canvas = element.querySelector("canvas");
    this.pen = this.canvas.getContext("2d");
    this.cells = Object.fromEntries([...element.querySelectorAll("[data-number]")].map(cell => [cell.dataset.number, cell]));
    this.name = element.dataset.strategy;
    this.dots = new Map();
    this.until = 0;
    this.seat = null;
  }

  put(seat, code, now) {
    if (code < 0) this.dots.delete(seat);
    else this.dots.set(seat, { code, at: now });
    this.until = now + PULSE_MS;
  }

  fit() {
    this.scale = devicePixelRatio || 1;
    this.cell = Math.min(24, (this.canvas.clientWidth - 2 * MARGIN) / seats);
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.round(this.canvas.clientWidth * this.scale);
    this.canvas.height = Math.round(this.height * this.scale);
    this.until = Infinity;
  }

  seatAt(x) {
    return Math.floor((x - MARGIN) / this.cell);
  }

  draw(now) {
    if (now > this.until) return;
    this.until = this.until === Infinity ? now : this.until;
    const { pen, cell, height, scale } = this;
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, this.canvas.width, height);
    if (this.seat !== null) {
      pen.fillStyle = sprites.chosen;
      pen.fillRect(MARGIN + this.seat * cell, 0, cell, height);
    }
    for (const [seat, dot] of this.dots) {
      const left = calm.matches ? 0 : Math.max(0, 1 - (now - dot.at) / PULSE_MS);
      const size = cell * (0.8 + 0.2 * left);
      const x = MARGIN + (seat + 0.5) * cell - size / 2;
      pen.drawImage(sprites.get(dot.code), x, height / 2 - size / 2 - 5 * left * (1 - left), size, size);
    }
  }

  show(numbers) {
    for (const [name, cell] of Object.entries(this.cells)) {
      const value = String(numbers[name] ?? "–");
      if (cell.textContent !== value) cell.textContent = value;
      cell.classList.toggle("zero", value === "0");
    }
    this.canvas.setAttribute("aria-label", text("Row", { strategy: this.name, ...numbers }));
  }
}

const rows = [...document.querySelectorAll("tr[data-strategy]")].map((element, place) => new Row(element, place));

function fit() {
  for (const row of rows) row.fit();
  sprites = new Sprites(rows[0].cell, rows[0].scale);
}

function put(lists) {
  const now = performance.now();
  for (const [place, ...dots] of lists) {
    for (let i = 0; i < dots.length; i += 2) rows[place].put(dots[i], dots[i + 1], now);
  }
}

let frames = 0;

function frame(now) {
  frames += 1;
  for (const row of rows) row.draw(now);
  setTimeout(requestAnimationFrame, REST_MS, frame); // a hidden page gets no frame, and so asks for none
}

// ---------------------------------------------------------------- lines

/** How many were logged in, over the last minutes; clicks are upright lines. */
class Lines {
  constructor() {
    this.times = [];
    this.counts = rows.map(() => []);
    this.clicks = [];
    this.plots = [];
  }

  start(past, clicks) {
    this.times = past.map(one => one[0]);
    this.counts = rows.map((_, place) => past.map(one => one[1 + place]));
    this.clicks = clicks;
    this.make();
  }

  make() {
    for (const plot of this.plots) plot.destroy();
    const style = getComputedStyle(root);
    const color = name => style.getPropertyValue(name).trim();
    this.plots = rows.map((row, place) => {
      const box = row.cells.p50.parentElement.querySelector(".line");
      const mark = plot => {
        const pen = plot.ctx;
        pen.save();
        pen.strokeStyle = color("--edge");
        pen.lineWidth = devicePixelRatio;
        pen.beginPath();
        for (const at of this.clicks) {
          const x = Math.round(plot.valToPos(at, "x", true)) + 0.5;
          if (x < plot.bbox.left) continue;
          pen.moveTo(x, plot.bbox.top);
          pen.lineTo(x, plot.bbox.top + plot.bbox.height);
        }
        pen.stroke();
        pen.restore();
      };
      return new uPlot({
        width: box.clientWidth || 110,
        height: box.clientHeight || 28,
        pxAlign: 0,
        legend: { show: false },
        cursor: { show: false },
        axes: [{ show: false }, { show: false }],
        padding: [2, 0, 2, 0],
        scales: { x: { time: false, range: (_, low, high) => [high - LINE_SECONDS, high] }, y: { range: [0, Number(told.users)] } },
        series: [{}, { stroke: color("--accent"), width: 1.5, fill: color("--chosen"), points: { show: false } }],
        hooks: { drawClear: [mark] },
      }, [this.times, this.counts[place]], box);
    });
  }

  add(numbers) {
    this.times.push(numbers.at);
    numbers.rows.forEach((row, place) => this.counts[place].push(row.logged_in));
    while (this.times.length && this.times[0] < numbers.at - LINE_SECONDS) {
      this.times.shift();
      for (const counts of this.counts) counts.shift();
    }
    this.plots.forEach((plot, place) => plot.setData([this.times, this.counts[place]]));
  }
}

const lines = new Lines();

// ---------------------------------------------------------------- news

let source = null;
let heard = performance.now();
let closing = 0;

function show(numbers) {
  numbers.rows.forEach((row, place) => rows[place].show(row));
  for (const row of rows) {
    if (row.seat !== numbers.seat) row.until = Infinity;
    row.seat = numbers.seat;
  }
  document.getElementById("length").textContent = numbers.length;
  document.getElementById("cost").textContent = text("Cost", { cost: numbers.cost, frames });
  frames = 0;
  banner("gone", numbers.gone && text("Gone", { reason: numbers.gone }));
}

function banner(id, words) {
  const box = document.getElementById(id);
  if (words && box.textContent !== words) box.textContent = words;
  box.hidden = !words;
}

function refresh(names) {
  for (const name of names) htmx.trigger(document.body, "console:" + name);
}

function hear(event, act) {
  source.addEventListener(event, message => {
    heard = performance.now();
    act(JSON.parse(message.data));
  });
}

function listen() {
  clearTimeout(closing);
  if (source && source.readyState !== EventSource.CLOSED) return;
  source = new EventSource("/events");
  hear("whole", whole => {
    for (const row of rows) row.dots.clear();
    put(whole.dots);
    lines.start(whole.past, whole.clicks);
    show(whole.numbers);
    refresh(["topology", "timeline", "tour"]);
  });
  hear("dots", put);
  hear("numbers", numbers => {
    lines.clicks = numbers.clicks;
    lines.add(numbers);
    show(numbers);
  });
  hear("changed", refresh);
}

/** A page that hears nothing must not look alive. */
function watch() {
  const silent = performance.now() - heard;
  const stale = !document.hidden && silent > STALE_MS;
  document.body.classList.toggle("stale", stale);
  const ended = source && source.readyState === EventSource.CLOSED;
  banner("stale", stale && text(ended ? "Ended" : "Stale", { seconds: Math.round(silent / 1000) }));
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    closing = setTimeout(() => source.close(), HIDDEN_MS);
  } else {
    listen();
    fit();
  }
});

// ---------------------------------------------------------------- hands

document.getElementById("rows").addEventListener("click", event => {
  const row = rows.find(one => one.canvas === event.target);
  const seat = row ? row.seatAt(event.offsetX) : -1;
  if (seat >= 0 && seat < Number(told.users)) document.getElementById("seat").value = String(seat + 1);
});

document.addEventListener("keydown", event => {
  if (event.target.closest("input, select, textarea") || event.altKey || event.ctrlKey || event.metaKey) return;
  const button = { ArrowRight: "tour-next", ArrowLeft: "tour-back" }[event.key];
  const found = button && document.getElementById(button);
  if (found) found.click();
});

document.body.addEventListener("htmx:response:error", event => {
  event.detail.ctx.response.raw.text().then(words => banner("refused", words)).catch(() => {});
  setTimeout(() => banner("refused", ""), 6000);
});

new ResizeObserver(() => {
  fit();
  if (lines.plots.length) lines.make();
}).observe(document.getElementById("rows"));
dark.addEventListener("change", () => {
  fit();
  lines.make();
});
document.getElementById("noscript").hidden = true;
fit();
listen();
setInterval(watch, 500);
requestAnimationFrame(frame);
