// The page: what is chosen, in controls and in the address, and what is drawn of it.
import { SIDE, drawDigits } from "./digits.js";
import { openEngine } from "./engine.js";
import { drawPictures, drawPlane, line, palette, plot, write } from "./plots.js";

const START = { data: "moons", label: 0, scale: 1, schedule: "scaled", grid: "karras", sampler: "dpmpp-2m", steps: 20, seed: 1 };
const PARTICLES = 2000, TRAILS = 36, EXTENT = 2.9, CELLS = 56;
const PICTURES = 20, ACROSS = 5, MOST_CALLS = 64;
const DIGITS = { name: "digits", title: "Digits, known by heart" };
const CONDITIONS = {
  gaussian: ["narrower"],
  mixture: ["top", "left", "lower left", "lower right", "right"],
  moons: ["upper moon", "lower moon"],
  digits: Array.from("0123456789", (c) => `digit ${c}`),
};

const $ = (id) => document.getElementById(id);
const engine = await openEngine(loadExplorer).catch((error) => {
  $("refusal").textContent = "This browser does not start the library: it needs WebAssembly with exceptions and SIMD.";
  $("refusal").hidden = false;
  throw error;
});
engine.remember(drawDigits(), 10);

let state = { ...START };
let shown = null;  // what the last plan gave
let playing = 0;

const isDigits = (s) => s.data === DIGITS.name;
const isGuided = (s) => s.label > 0 && s.scale !== 1;
const superscripts = (text) => text.replace(/[-0-9]/g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
function digits(value, n = 3) {
  if (!Number.isFinite(value)) return "∞";
  const text = Number.isInteger(value) && Math.abs(value) < 1e6 ? String(value) : value.toPrecision(n);
  const [mantissa, power] = text.split("e");
  return (power ? `${mantissa} × 10${superscripts(power.replace("+", ""))}` : mantissa).replace(/^-/, "−");
}
const counted = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
const title = (table, name) => engine.tables[table].find((entry) => entry.name === name).title;
const dataTitle = (name) => (name === DIGITS.name ? DIGITS.title : title("data", name));
const levelOf = ({ alpha, sigma }) => sigma / alpha;

// The address

function toAddress(s) {
  const changed = Object.entries(s).filter(([key, value]) => value !== START[key]);
  return changed.map(([key, value]) => `${key}=${encodeURIComponent(value)}`).join("&");
}
function fromAddress(text) {
  const s = { ...START };
  for (const [key, value] of new URLSearchParams(text.replace(/^#/, ""))) {
    if (key in engine.tables || key === "data") {
      const known = engine.tables[key].some((entry) => entry.name === value) || (key === "data" && value === DIGITS.name);
      if (known) s[key] = value;
    } else if (key in START && value !== "" && Number.isFinite(Number(value))) {
      s[key] = Number(value);
    }
  }
  const within = (value, low, high) => Math.min(high, Math.max(low, value));
  s.label = within(Math.round(s.label), 0, CONDITIONS[s.data].length);
  s.scale = within(Math.round(10 * s.scale) / 10, 0, 6);
  s.steps = within(Math.round(s.steps), 1, 64);
  s.seed = within(Math.round(s.seed), 1, 999999);
  return s;
}

// The controls

function fill(select, entries) {
  select.replaceChildren(...entries.map(({ name, title: text }) => new Option(text, name)));
}
function fillConditions(s) {
  fill($("label"), [{ name: 0, title: "none: all of the data" }, ...CONDITIONS[s.data].map((text, i) => ({ name: i + 1, title: text }))]);
}
function fillSamplers(s) {
  const fits = engine.fits(s);
  const groups = [["Deterministic", 1], ["With fresh noise", 2], ["Refused by this grid", 0]].map(([text, kind]) => {
    const group = document.createElement("optgroup");
    group.label = text;
    engine.tables.sampler.forEach((entry, i) => fits[i] === kind && group.append(new Option(entry.title, entry.name)));
    return group;
  });
  $("sampler").replaceChildren(...groups.filter((group) => group.children.length));
  $("sampler").value = s.sampler;
}
function showControls(s) {
  for (const key of ["data", "schedule", "grid", "sampler", "scale", "steps"]) $(key).value = s[key];
  $("label").value = s.label;
  $("scale").disabled = s.label === 0;
  $("scale-shown").value = s.label === 0 ? "" : s.scale.toFixed(1);
  $("scale-hint").textContent =
    s.label === 0 ? "Choose a condition to guide by it." :
    s.scale === 1 ? "w = 1: the condition alone." :
    s.scale === 0 ? "w = 0: as if there were no condition." :
    s.scale < 1 ? "Between all of the data and the condition." : "Beyond the condition, away from the rest.";
  $("steps-shown").value = s.steps;
}

// What is drawn

const density = { key: "", values: null };
function densityAt(s, level) {
  const key = [s.data, s.label, level.alpha, level.sigma].join();
  if (density.key !== key) Object.assign(density, { key, values: engine.density(s, level, CELLS, EXTENT) });
  return density.values;
}

function drawHero() {
  const { s, states, levels } = shown;
  const step = Number($("step").value), level = levels[step], last = levels.length - 1;
  const canvas = $("hero");
  $("step-shown").value = `step ${step} of ${last}`;
  const where = `σ/α = ${digits(levelOf(level))}`;
  $("paths").parentElement.hidden = isDigits(s);
  if (isDigits(s)) {
    canvas.style.aspectRatio = `${ACROSS} / ${PICTURES / ACROSS}`;
    drawPictures(canvas, { states, count: PICTURES, step, side: SIDE, across: ACROSS });
    $("hero-caption").innerHTML = `${PICTURES} pictures at <b>${where}</b>. The denoiser is exact for the ${drawnDigits} digits it knows, so what comes out are those.`;
    canvas.setAttribute("aria-label", `${PICTURES} pictures of digits after step ${step} of ${last}`);
    return;
  }
  canvas.style.aspectRatio = "1";
  drawPlane(canvas, {
    states, count: PARTICLES, step, density: densityAt(s, level), size: CELLS, extent: EXTENT,
    trails: shown.plan.draws ? 8 : TRAILS, paths: $("paths").checked,
  });
  $("hero-caption").innerHTML =
    `<span class="key" style="color: var(--accent)"></span>${PARTICLES.toLocaleString("en")} particles at <b>${where}</b>, ` +
    `over <span class="key" style="color: var(--second)"></span>the exact density there${s.label ? " of the condition" : ""}. In units of √(α² + σ²).`;
  canvas.setAttribute("aria-label", `${PARTICLES} particles on the plane after step ${step} of ${last}, at noise level ${digits(levelOf(level))}`);
}

function drawLevels() {
  const { s, levels } = shown;
  const step = Number($("step").value), colours = palette(), last = levels.length - 1;
  const finite = levels.map(levelOf).filter((v) => v > 0 && Number.isFinite(v));
  const low = 10 ** Math.floor(Math.log10(Math.min(0.02, ...finite))), high = 10 ** Math.ceil(Math.log10(Math.max(10, ...finite)));
  const axes = plot($("levels"), { low: 0, high: Math.max(1, last), label: "step", values: stepTicks(last) }, { low, high, log: true, label: "noise level σ/α" });
  // Pure noise stands on the upper edge, clean data on the lower.
  const points = levels.map((l, i) => [i, Math.min(high, Math.max(low, levelOf(l)))]);
  line(axes, points, { colour: colours.accent, dots: last > 40 ? 1.6 : 2.6 });
  line(axes, [points[step]], { colour: colours.second, dots: 5 });
  const said = levelOf(levels[step]);
  $("levels-caption").innerHTML =
    `${title("schedule", s.schedule)}: step ${step} is at <b>t = ${digits(levels[step].time)}</b>, α = ${digits(levels[step].alpha)}, σ = ${digits(levels[step].sigma)}` +
    `${said === 0 ? ", clean data" : !Number.isFinite(said) ? ", pure noise" : ""}.`;
  $("levels").setAttribute("aria-label", `Noise level over ${last} steps, from ${digits(levelOf(levels[0]))} to ${digits(levelOf(levels[last]))}`);
}
function stepTicks(last) {
  const stride = [1, 2, 5, 10, 20].find((k) => last / k <= 8);
  return Array.from({ length: Math.floor(last / stride) + 1 }, (_, i) => i * stride);
}

function drawLaw() {
  const { s, law, plan, levels } = shown;
  $("law-shown").hidden = !law;
  if (!law) {
    $("law-caption").textContent = "Of Gaussian data the law of all samples is known without drawing one: choose “Gaussian” to see it against the data.";
    return;
  }
  const colours = palette(), last = levels.length - 1;
  const deviation = (v) => Math.sqrt(Math.max(0, v));
  const all = law.axes.flatMap((axis) => [...axis.variances, ...axis.exact]).map(deviation);
  const axes = plot($("law"), { low: 0, high: Math.max(1, last), label: "step", values: stepTicks(last) },
    { low: 0, high: Math.max(1.2, 1.12 * Math.max(...all)), label: "standard deviation, in units of √(α² + σ²)" });
  for (const axis of law.axes) {
    const wanted = Array.from(axis.exact, (v, i) => [i, deviation(v)]);
    line(axes, wanted, { colour: colours.second, width: 1.75, dash: [5, 4] });
    write(axes, wanted[last], axis === law.axes[0] ? "short axis" : "long axis");
    line(axes, Array.from(axis.variances, (v, i) => [i, deviation(v)]), { colour: colours.accent, dots: last > 40 ? 0 : 2 });
  }
  const target = s.label ? "condition" : "data";
  $("law-caption").innerHTML =
    `From pure noise, ${counted(plan.steps, "step")} end${plan.steps === 1 ? "s" : ""} at <b>W₂ = ${digits(law.distance)}</b>, <b>KL = ${digits(law.divergence)} nats</b> from the ${target}. ` +
    `<span class="key" style="color: var(--accent)"></span>program, <span class="key" style="color: var(--second); border-top-style: dashed"></span>${target} with the noise of the step, along both axes.`;
  const row = (name, note, values, kind) => `<tr class="${kind}"><th scope="row">${name}<span class="sub">${note}</span></th>${values.map((v) => `<td>${digits(deviation(v), 4)}</td>`).join("")}</tr>`;
  const along = (part) => [law.axes[1][part].variance, law.axes[0][part].variance];
  $("law-rows").innerHTML =
    row("Data", "all of it", along("data"), "") +
    (s.label ? row("Condition", CONDITIONS[s.data][s.label - 1], along("wanted"), "") : "") +
    (isGuided(s) ? row("Tilted law", "said of guidance: p(c|x)<sup>w</sup> p(x)", along("tilted"), "") : "") +
    row("Program", isGuided(s) ? `guided by w = ${s.scale.toFixed(1)}` : "what it makes", along("made"), "made");
  $("law").setAttribute("aria-label", `Standard deviations over the steps; at the end W2 ${digits(law.distance)}`);
}

// The chosen sampler's curve is computed first, then those of the others while nothing else is to do.
let curves = { key: "", of: new Map(), refusals: new Map(), timer: 0 };
function computeCurves() {
  const { s } = shown;
  const key = [s.data, s.label, s.scale, s.schedule, s.grid].join();
  if (curves.key !== key) {
    clearTimeout(curves.timer);
    curves = { key, of: new Map(), refusals: new Map(), timer: 0 };
  }
  if (isDigits(s)) return drawErrors();
  const one = (name) => {
    if (curves.of.has(name) || curves.refusals.has(name)) return;
    try {
      curves.of.set(name, engine.errors(s, name, MOST_CALLS));
    } catch (error) {
      curves.refusals.set(name, error.message);
    }
  };
  one(s.sampler);
  drawErrors();
  const rest = engine.tables.sampler.map((entry) => entry.name).filter((name) => !curves.of.has(name) && !curves.refusals.has(name));
  const next = () => {
    if (!rest.length) return;
    one(rest.shift());
    drawErrors();
    curves.timer = setTimeout(next, 30);
  };
  clearTimeout(curves.timer);
  curves.timer = setTimeout(next, 60);
}
function drawErrors() {
  const { s, plan } = shown, colours = palette();
  const canvas = $("errors");
  canvas.hidden = isDigits(s);
  if (isDigits(s)) {
    $("errors-caption").textContent = "Of pictures no error is counted: choose data on the plane, whose trajectories have known ends.";
    return;
  }
  const mine = curves.of.get(s.sampler);
  const all = [...curves.of.values()].flat().map((p) => p.error).filter((e) => e > 0);
  const low = 10 ** Math.floor(Math.log10(Math.max(1e-7, Math.min(0.01, ...all)))), high = 10 ** Math.ceil(Math.log10(Math.min(100, Math.max(1, ...all))));
  const exact = s.data === "gaussian" && !isGuided(s);
  const axes = plot(canvas, { low: 1, high: MOST_CALLS, log: true, label: "network calls", values: [1, 2, 4, 8, 16, 32, 64] },
    { low, high, log: true, label: exact ? "W₂ to the data" : "distance from the exact end" });
  const inside = (curve) => curve.map(({ calls, error }) => [calls, Math.min(high, Math.max(low, error))]);
  for (const [name, curve] of curves.of) if (name !== s.sampler) line(axes, inside(curve), { colour: colours.rule, width: 1.5 });
  if (mine) line(axes, inside(mine), { colour: colours.accent, width: 2.25, dots: 1.8 });
  let said;
  if (!mine) said = curves.refusals.get(s.sampler) ?? "";
  else {
    const nearest = mine.reduce((a, b) => (Math.abs(Math.log(b.calls / plan.evaluations)) < Math.abs(Math.log(a.calls / plan.evaluations)) ? b : a));
    line(axes, inside([nearest]), { colour: colours.second, dots: 5 });
    said = `<b>${digits(nearest.error)}</b> after ${nearest.calls} calls: ` +
      (exact ? "distance between the exact laws of program and data." : "root mean square, of 64 trajectories.");
  }
  $("errors-caption").innerHTML = `${said} <span class="key" style="color: var(--accent)"></span>${title("sampler", s.sampler)}, <span class="key" style="color: var(--rule)"></span>the others.`;
  canvas.setAttribute("aria-label", mine ? `Error of ${title("sampler", s.sampler)} against network calls, from ${digits(mine[0].error)} to ${digits(mine[mine.length - 1].error)}` : "No curve for this sampler");
}

const escaped = (text) => text.replace(/[&<>]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;" })[c]);
function writeProgram() {
  const { s, plan, levels, formulas } = shown;
  $("program-caption").innerHTML = `<b>${counted(plan.evaluations, "network call")}</b>, ${plan.draws === 0 ? "no fresh noise" : counted(plan.draws, "draw") + " of noise"}, ${counted(plan.registers, "tensor")} kept. <b>D</b> is the estimate of clean data, <b>E</b> that of the noise, <b>z</b> fresh noise, <b>r</b> what is stored.`;
  $("formulas").innerHTML = formulas.trimEnd().split("\n").map((text) => {
    const kind = text.startsWith("step") ? "step" : text.startsWith("  ") ? "formula" : "ask";
    return `<span class="${kind}">${escaped(text)}</span>`;
  }).join("\n");
  const code = (table) => engine.tables[table].find((entry) => entry.name === s[table]).code;
  // Rounded towards the inside of the range, which the schedule would refuse to leave.
  const inner = (value, round) => {
    const unit = 10 ** (Math.floor(Math.log10(value)) - 5);
    return String(Number((round(value / unit) * unit).toPrecision(6)));
  };
  const nodes = code("grid")
    .replace("{steps}", s.steps)
    .replace("{highest}", inner(levelOf(levels[0]), Math.floor))
    .replace("{lowest}", inner(levelOf(levels[levels.length - 2]), Math.ceil));
  const sampler = code("sampler");
  const lines = ["#include <iostream>", "#include <tweedie/tweedie.hpp>", "", "int main() {", "  using namespace tweedie;"];
  lines.push(`  const auto schedule = ${code("schedule")};`);
  if (code("grid").includes("{highest}"))
    lines.push(`  const auto levels = ${nodes};`, "  const auto nodes = ending_clean(", "      schedule, at_levels(schedule, levels));");
  else lines.push(`  const auto nodes = ${nodes};`);
  if (sampler.includes("between")) lines.push("  const auto between = nodes_of(schedule);");
  lines.push(`  const auto plan = ${sampler};`, "  std::cout << plan;", "}");
  const broken = (text) => (text.length > 54 ? text.replace(" = ", " =\n      ") : text);
  $("code").textContent = lines.map(broken).join("\n") + "\n";
}

function refused(reason) {
  $("refusal").textContent = reason;
  $("refusal").hidden = !reason;
  document.body.classList.toggle("stale", Boolean(reason));
}

// From a choice to what is seen. What takes long or is read slowly follows after the frame.
let later = 0;
function update({ keepStep = false } = {}) {
  clearTimeout(curves.timer);
  const began = performance.now();
  const s = { ...state };
  const atEnd = !shown || !keepStep || Number($("step").value) === Number($("step").max);
  try {
    const plan = engine.plan(s);
    const states = isDigits(s) ? engine.pictures(s, PICTURES) : engine.particles(s, PARTICLES);
    shown = { s, plan, states, levels: engine.levels(), law: s.data === "gaussian" ? engine.law(s) : null };
    refused("");
  } catch (error) {
    // What was seen last stays, dimmed; a link to a refused choice shows the usual one behind it.
    if (!shown) {
      state = { ...START };
      update();
      state = s;
    }
    showControls(s);
    refused(error.message);
    return;
  }
  const last = shown.levels.length - 1;
  const step = atEnd ? last : Math.min(last, Number($("step").value));
  $("step").max = last;
  $("step").value = step;
  showControls(s);
  drawHero();
  drawLevels();
  drawLaw();
  const spent = performance.now() - began;
  document.documentElement.dataset.milliseconds = spent.toFixed(2);
  clearTimeout(later);
  later = setTimeout(() => {
    shown.formulas = engine.formulas();
    writeProgram();
    computeCurves();
    $("status").textContent = `${title("sampler", s.sampler)}: ${counted(shown.plan.evaluations, "network call")}, drawn in ${spent.toFixed(0)} ms.`;
    history.replaceState(null, "", `#${toAddress(state)}`);
    document.documentElement.dataset.ready = "yes";
  }, 120);
}
// While a slider is dragged: once a frame, however many events there are.
let pending = 0;
function updateSoon() {
  pending ||= requestAnimationFrame(() => {
    pending = 0;
    update({ keepStep: true });
  });
}
function drawAll() {
  if (!shown) return;
  drawHero();
  drawLevels();
  drawLaw();
  if (curves.key) drawErrors();
}

function play(on) {
  cancelAnimationFrame(playing);
  playing = 0;
  $("play").setAttribute("aria-pressed", String(on));
  $("play").textContent = on ? "Pause" : "Play";
  if (!on) return;
  const last = Number($("step").max), each = Math.max(50, 3000 / last);
  const from = Number($("step").value) >= last ? 0 : Number($("step").value), began = performance.now();
  const frame = (time) => {
    const step = Math.min(last, from + Math.max(0, Math.floor((time - began) / each)));
    if (step !== Number($("step").value)) {
      $("step").value = step;
      drawHero();
      drawLevels();
    }
    if (step < last) playing = requestAnimationFrame(frame);
    else play(false);
  };
  $("step").value = from;
  playing = requestAnimationFrame(frame);
}

// Beginning

const drawnDigits = drawDigits().length;
fill($("data"), [...engine.tables.data, DIGITS]);
fill($("schedule"), engine.tables.schedule);
fill($("grid"), engine.tables.grid);
$("paths").checked = true;
function enter(s) {
  state = s;
  fillConditions(s);
  fillSamplers(s);
  update();
}
enter(fromAddress(location.hash));

for (const key of ["data", "schedule", "grid", "sampler"])
  $(key).addEventListener("change", () => {
    play(false);
    state[key] = $(key).value;
    if (key === "data") {
      state.label = Math.min(state.label, CONDITIONS[state.data].length);
      fillConditions(state);
    }
    if (key === "schedule" || key === "grid") fillSamplers(state);
    update();
  });
$("label").addEventListener("change", () => {
  state.label = Number($("label").value);
  update({ keepStep: true });
});
for (const key of ["scale", "steps"])
  $(key).addEventListener("input", () => {
    state[key] = Number($(key).value);
    updateSoon();
  });
$("steps").addEventListener("change", () => fillSamplers(state));
$("step").addEventListener("input", () => {
  play(false);
  drawHero();
  drawLevels();
});
$("paths").addEventListener("change", drawHero);
$("play").addEventListener("click", () => play(!playing));
$("reseed").addEventListener("click", () => {
  state.seed = state.seed % 999999 + 1;
  update({ keepStep: true });
});
$("reset").addEventListener("click", (event) => {
  event.preventDefault();
  play(false);
  enter({ ...START });
});
$("share").addEventListener("click", async () => {
  history.replaceState(null, "", `#${toAddress(state)}`);
  try {
    await navigator.clipboard.writeText(location.href);
    $("status").textContent = "Link copied.";
  } catch {
    $("status").textContent = "The link is in the address bar.";
  }
});
$("controls").addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => enter(fromAddress(location.hash)));
addEventListener("resize", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
