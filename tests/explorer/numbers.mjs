// node numbers.mjs <index.html> <native program>
// The library in the page and the native program answer the same calls with the same numbers, but for what their
// functions exp, log and pow round differently.
import { execFileSync } from "node:child_process";
import { openLibrary } from "./library.mjs";

const [page, native] = process.argv.slice(2);
const TOLERANCE = 1e-12;  // of the largest number of an answer, where trajectories carry roundings on

const calls = [];
const choices = [[0, 0, 6], [1, 5, 0], [2, 2, 9], [4, 3, 7], [4, 1, 15], [5, 0, 1], [6, 3, 11], [7, 1, 12], [3, 8, 8]];
for (const [schedule, grid, sampler] of [...choices, [0, 0, 17], [5, 1, 20], [0, 1, 21]]) {
  calls.push(["plan", schedule, grid, sampler, 7], ["levels"], ["law", 0, 1], ["law", 1, 2.5]);
  for (const data of [0, 1, 2]) calls.push(["particles", data, 0, 1, 20, 3], ["particles", data, 1, 3, 20, 3]);
}
for (const steps of [1, 2, 20]) calls.push(["fits", 0, 0, steps], ["fits", 4, 3, steps]);
calls.push(["plan", 4, 3, 1, 20]);  // refused: no signal at the start
calls.push(["plan", 5, 5, 0, 20]);  // refused: leading on a continuous schedule
calls.push(["plan", 0, 0, 6, 1], ["levels"], ["particles", 2, 0, 1, 5, 1]);
calls.push(["plan", 0, 0, 6, 12], ["pictures", 0, 1, 3, 1], ["pictures", 4, 2, 3, 1]);
calls.push(["density", 1, 0, 0.8, 0.6, 8, 3], ["density", 0, 1, 1, 0, 8, 3]);
calls.push(["errors", 0, 0, 6, 16, 0, 0, 1], ["errors", 0, 0, 6, 16, 2, 1, 2], ["errors", 0, 0, 16, 16, 2, 0, 1]);
const plans = calls.filter(([name]) => name === "plan");

const library = await openLibrary(page);
const run = (list) => execFileSync(native, { input: list.map((c) => c.join(" ")).join("\n") + "\n", encoding: "utf8", maxBuffer: 1 << 28 });
const lines = run(calls).trimEnd().split("\n");
let worst = 0, compared = 0, refused = 0;
const fail = (text) => {
  console.error(text);
  process.exit(1);
};
calls.forEach(([name, ...args], i) => {
  const here = library.call(name, args), there = lines[i];
  const said = `${name} ${args.join(" ")}`;
  if (typeof here === "string") {
    if (there !== `!${here}`) fail(`${said}: "${here}" in the page, "${there}" natively`);
    ++refused;
    return;
  }
  const numbers = there === "" ? [] : there.split(" ").map((t) => (t === "inf" ? Infinity : Number(t)));
  if (numbers.length !== here.length || here.length === 0) fail(`${said}: ${here.length} numbers in the page, ${numbers.length} natively`);
  const scale = Math.max(1e-300, ...numbers.filter(Number.isFinite).map(Math.abs));
  numbers.forEach((v, k) => {
    const off = v === here[k] ? 0 : Math.abs(v - here[k]) / scale;
    if (!(off <= TOLERANCE)) fail(`${said}, number ${k}: ${here[k]} in the page, ${v} natively`);
    worst = Math.max(worst, off);
    ++compared;
  });
});
if (refused < 3) fail(`${refused} refusals, 3 were asked for`);

// Formulas print six digits: to the letter, but for a last digit.
for (const plan of plans) {
  const here = library.call("plan", plan.slice(1));
  if (typeof here === "string") continue;
  if (library.formulas() !== run([plan, ["formulas"]]).replace(/^.*\n/, "")) fail(`formulas of ${plan.join(" ")} differ`);
}

// What a slider waits for, by the processor's clock: other work on the machine does not count.
const median = (values) => values.sort((a, b) => a - b)[values.length >> 1];
library.call("plan", [0, 0, 6, 20]);
["Gaussian", "five Gaussians", "two moons"].forEach((title, data) => {
  const spent = Array.from({ length: 21 }, () => {
    const began = process.cpuUsage();
    library.call("plan", [0, 0, 6, 20]);
    library.module._explorer_particles(data, 0, 1, 2000, 1);
    const { user, system } = process.cpuUsage(began);
    return (user + system) / 1000;
  });
  const milliseconds = median(spent);
  console.log(`${title}: 2000 particles, 20 steps in ${milliseconds.toFixed(1)} ms`);
  if (!(milliseconds < 60)) fail(`${title} takes far longer than a frame`);
});
console.log(`${compared} numbers, differences up to ${worst.toExponential(1)}, ${refused} refusals in the same words`);
