// Pictures of numbers on canvases. Colours are the page's own, so that they follow its light and dark.

export function palette() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(name).trim();
  return {
    paper: of("--paper"), ink: of("--ink"), quiet: of("--quiet"), rule: of("--rule"),
    accent: of("--accent"), second: of("--second"), font: of("--sans"),
  };
}

// A canvas as large as its box at the density of the screen; coordinates are CSS pixels.
function opened(canvas) {
  const box = canvas.getBoundingClientRect();
  const density = window.devicePixelRatio || 1;
  const width = Math.round(box.width * density), height = Math.round(box.height * density);
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, box.width, box.height);
  return { pen, width: box.width, height: box.height };
}

function blended(colour, opacity) {
  const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
  return `rgba(${red}, ${green}, ${blue}, ${opacity})`;
}

const superscript = (n) => String(n).replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));

function ticks({ low, high, log, values }) {
  if (values) return values.map((value) => ({ value, text: String(value) }));
  if (log) {
    const first = Math.ceil(Math.log10(low) - 1e-9), last = Math.floor(Math.log10(high) + 1e-9);
    const stride = Math.max(1, Math.ceil((last - first + 1) / 6));
    const out = [];
    for (let p = first; p <= last; p += stride)
      out.push({ value: 10 ** p, text: p >= -2 && p <= 2 ? String(Number((10 ** p).toPrecision(1))) : `10${superscript(p)}` });
    return out;
  }
  const range = high - low;
  const stride = [1, 2, 5, 10].map((k) => k * 10 ** Math.floor(Math.log10(range / 5))).find((k) => range / k <= 6);
  const out = [];
  for (let i = Math.ceil(low / stride - 1e-9); i * stride <= high + 1e-9 * range; ++i)
    out.push({ value: i * stride, text: String(Number((i * stride).toPrecision(6))).replace("-", "−") });
  return out;
}

// Axes {low, high, log, values, label}; gives the pen and the maps from numbers to pixels.
export function plot(canvas, x, y) {
  const { pen, width, height } = opened(canvas);
  const colours = palette();
  const left = 46, right = 10, top = 22, bottom = 38;
  const along = (axis, from, to) => {
    const f = axis.log ? Math.log10 : (v) => v;
    const low = f(axis.low), high = f(axis.high);
    return (v) => from + (to - from) * (f(v) - low) / (high - low || 1);
  };
  const toX = along(x, left, width - right), toY = along(y, height - bottom, top);
  pen.font = `11px ${colours.font}`;
  pen.lineWidth = 1;
  pen.strokeStyle = colours.rule;
  pen.fillStyle = colours.quiet;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const { value, text } of ticks(y)) {
    const at = Math.round(toY(value)) + 0.5;
    pen.beginPath();
    pen.moveTo(left, at);
    pen.lineTo(width - right, at);
    pen.stroke();
    pen.fillText(text, left - 7, at);
  }
  pen.textAlign = "center";
  pen.textBaseline = "top";
  for (const { value, text } of ticks(x)) {
    const at = Math.round(toX(value)) + 0.5;
    pen.beginPath();
    pen.moveTo(at, height - bottom);
    pen.lineTo(at, height - bottom + 4);
    pen.stroke();
    pen.fillText(text, at, height - bottom + 7);
  }
  pen.strokeStyle = colours.quiet;
  pen.beginPath();
  pen.moveTo(left, height - bottom + 0.5);
  pen.lineTo(width - right, height - bottom + 0.5);
  pen.stroke();
  pen.textBaseline = "alphabetic";
  pen.fillText(x.label, (left + width - right) / 2, height - 5);
  pen.textAlign = "left";
  pen.fillText(y.label, 2, 11);
  return { pen, toX, toY, colours, left, right: width - right, top, bottom: height - bottom };
}

// Points [x, y] joined; those that are not finite are left out.
export function line({ pen, toX, toY }, points, { colour, width = 1.75, dash = [], dots = 0 }) {
  const seen = points.filter(([a, b]) => Number.isFinite(a) && Number.isFinite(b));
  pen.save();
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineWidth = width;
  pen.lineJoin = "round";
  pen.setLineDash(dash);
  pen.beginPath();
  seen.forEach(([a, b], i) => pen[i ? "lineTo" : "moveTo"](toX(a), toY(b)));
  pen.stroke();
  if (dots)
    for (const [a, b] of seen) {
      pen.beginPath();
      pen.arc(toX(a), toY(b), dots, 0, 7);
      pen.fill();
    }
  pen.restore();
}

// A few words that end above the point [x, y].
export function write({ pen, toX, toY, colours }, [x, y], text) {
  pen.fillStyle = colours.quiet;
  pen.textAlign = "right";
  pen.textBaseline = "bottom";
  pen.fillText(text, toX(x), toY(y) - 4);
}

// The plane [-extent, extent]^2: the density as light, trajectories up to `step`, particles at it.
// states: {x, y} of `count` particles for each step.
export function drawPlane(canvas, { states, count, step, density, size, extent, trails, paths }) {
  const { pen, width } = opened(canvas);
  const colours = palette();
  const margin = 26, side = width - margin;
  const toX = (v) => margin + side * (v + extent) / (2 * extent);
  const toY = (v) => side * (extent - v) / (2 * extent);
  if (density) {
    const image = new ImageData(size, size);
    const [red, green, blue] = [1, 3, 5].map((i) => parseInt(colours.second.slice(i, i + 2), 16));
    let top = 0;
    for (const v of density) top = Math.max(top, v);
    density.forEach((v, i) => image.data.set([red, green, blue, 150 * Math.sqrt(v / top)], 4 * i));
    const small = new OffscreenCanvas(size, size);
    small.getContext("2d").putImageData(image, 0, 0);
    pen.imageSmoothingQuality = "high";
    pen.drawImage(small, margin, 0, side, side);
  }
  pen.save();
  pen.beginPath();
  pen.rect(margin, 0, side, side);
  pen.clip();
  pen.fillStyle = blended(colours.accent, 0.5);
  const from = 2 * count * step;
  for (let i = 0; i < count; ++i)
    pen.fillRect(toX(states[from + 2 * i]) - 1, toY(states[from + 2 * i + 1]) - 1, 2, 2);
  if (paths) {
    pen.strokeStyle = blended(colours.ink, 0.55);
    pen.lineWidth = 1;
    pen.beginPath();
    for (let i = 0; i < trails; ++i)
      for (let k = 0; k <= step; ++k) {
        const at = 2 * count * k + 2 * i;
        pen[k ? "lineTo" : "moveTo"](toX(states[at]), toY(states[at + 1]));
      }
    pen.stroke();
    pen.fillStyle = colours.ink;
    for (let i = 0; i < trails; ++i) {
      pen.beginPath();
      pen.arc(toX(states[from + 2 * i]), toY(states[from + 2 * i + 1]), 2.2, 0, 7);
      pen.fill();
    }
  }
  pen.restore();
  pen.strokeStyle = colours.rule;
  pen.strokeRect(margin + 0.5, 0.5, side - 1, side - 1);
  pen.font = `11px ${colours.font}`;
  pen.fillStyle = colours.quiet;
  for (const v of [-2, -1, 0, 1, 2]) {
    const text = String(v).replace("-", "−");
    pen.textAlign = "center";
    pen.textBaseline = "top";
    pen.fillText(text, toX(v), side + 7);
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    pen.fillText(text, margin - 7, toY(v));
    pen.beginPath();
    pen.moveTo(toX(v), side);
    pen.lineTo(toX(v), side - 4);
    pen.moveTo(margin, toY(v));
    pen.lineTo(margin + 4, toY(v));
    pen.stroke();
  }
  pen.textAlign = "right";
  pen.textBaseline = "bottom";
  pen.fillText("x₁", width - 8, side - 7);
  pen.textAlign = "left";
  pen.textBaseline = "top";
  pen.fillText("x₂", margin + 8, 8);
}

// `count` pictures of side x side numbers, -1 paper to 1 ink, in rows of `across`.
export function drawPictures(canvas, { states, count, step, side, across }) {
  const { pen, width } = opened(canvas);
  const colours = palette();
  const of = (c) => [1, 3, 5].map((i) => parseInt(c.slice(i, i + 2), 16));
  const ink = of(colours.ink);
  const gap = 10, cell = (width + gap) / across - gap;
  const small = new OffscreenCanvas(side, side);
  const brush = small.getContext("2d");
  pen.imageSmoothingEnabled = false;
  for (let n = 0; n < count; ++n) {
    const image = brush.createImageData(side, side);
    for (let i = 0; i < side * side; ++i) {
      const v = states[(step * count + n) * side * side + i];
      image.data.set([...ink, 255 * Math.min(1, Math.max(0, (v + 1) / 2))], 4 * i);
    }
    brush.putImageData(image, 0, 0);
    const x = (n % across) * (cell + gap), y = Math.floor(n / across) * (cell + gap);
    pen.drawImage(small, x, y, cell, cell);
    pen.strokeStyle = colours.rule;
    pen.strokeRect(x + 0.5, y + 0.5, cell - 1, cell - 1);
  }
}
