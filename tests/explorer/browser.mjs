// node browser.mjs <browser> <index.html> <native program> [folder for pictures of the page]
// The page in a browser, spoken to over its pipe: no complaints, the native program's numbers, keyboard, narrow screens.
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const [browser, page, native, pictures] = process.argv.slice(2);
const profile = mkdtempSync(join(tmpdir(), "explorer-"));
const child = spawn(browser, [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--remote-debugging-pipe", `--user-data-dir=${profile}`, "about:blank",
], { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] });

const waiting = new Map(), complaints = [];
let last = 0, session, buffer = "";
child.stdio[4].setEncoding("utf8").on("data", (text) => {
  const parts = (buffer + text).split("\0");
  buffer = parts.pop();
  for (const message of parts.map((part) => JSON.parse(part))) {
    if (message.id) waiting.get(message.id)(message);
    if (message.method === "Runtime.exceptionThrown") complaints.push(JSON.stringify(message.params.exceptionDetails));
    if (message.method === "Runtime.consoleAPICalled") complaints.push(JSON.stringify(message.params.args));
    if (message.method === "Log.entryAdded") complaints.push(message.params.entry.text);
  }
});
const send = (method, params = {}) => new Promise((done, failed) => {
  const id = ++last;
  waiting.set(id, ({ result, error }) => (error ? failed(new Error(`${method}: ${error.message}`)) : done(result)));
  child.stdio[3].write(JSON.stringify({ id, method, params, sessionId: session }) + "\0");
});
const evaluate = async (expression) => {
  const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
  return result.value;
};
const expect = (what, here, there) => {
  if (here !== there) throw new Error(`${what}:\n${here}\ninstead of\n${there}`);
};
const open = async (hash, { width = 1360, dark = false } = {}) => {
  await send("Emulation.setDeviceMetricsOverride", { width, height: 860, deviceScaleFactor: width < 500 ? 2 : 1, mobile: width < 500 });
  await send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }] });
  await send("Page.navigate", { url: "about:blank" });
  await send("Page.navigate", { url: `file://${resolve(page)}${hash}` });
  await ready();
};
const ready = async () => {
  for (let i = 0; i < 600; ++i) {
    if (await evaluate("document.documentElement?.dataset.ready === 'yes'")) return;
    await new Promise((done) => setTimeout(done, 100));
  }
  throw new Error("the page does not become ready");
};
const settled = async (action) => {  // formulas and address are written a while after what was done
  await evaluate("delete document.documentElement.dataset.ready");
  await action();
  return ready();
};
const key = async (name) => {
  for (const type of ["keyDown", "keyUp"]) await send("Input.dispatchKeyEvent", { type, key: name, code: name, windowsVirtualKeyCode: { ArrowRight: 39, Tab: 9 }[name] });
};
const asked = (...calls) => execFileSync(native, { input: calls.join("\n") + "\n", encoding: "utf8" }).split("\n");

let status = 0;
try {
  const { targetId } = await send("Target.createTarget", { url: "about:blank" });
  ({ sessionId: session } = await send("Target.attachToTarget", { targetId, flatten: true }));
  for (const domain of ["Page", "Runtime", "Log"]) await send(`${domain}.enable`);
  await send("Page.bringToFront");
  await send("Emulation.setFocusEmulationEnabled", { enabled: true });

  // The formulas, to the letter.
  await open("");
  const [, ...formulas] = asked("plan 0 0 6 20", "formulas");
  expect("formulas", await evaluate("document.getElementById('formulas').textContent"), formulas.join("\n").trimEnd());

  // A step more, by the keyboard; it goes into the address.
  await evaluate("document.getElementById('steps').focus()");
  await settled(() => key("ArrowRight"));
  expect("address", await evaluate("location.hash"), "#steps=21");
  const [, ...more] = asked("plan 0 0 6 21", "formulas");
  expect("formulas of 21 steps", await evaluate("document.getElementById('formulas').textContent"), more.join("\n").trimEnd());

  // How long a slider takes: 2000 particles, steps around 20.
  const times = await evaluate(`(async () => {
    const times = [], slider = document.getElementById("steps");
    for (let i = 0; i < 40; ++i) {
      slider.value = 19 + i % 3;
      slider.dispatchEvent(new Event("input"));
      for (let k = 0; k < 2; ++k) await new Promise((done) => requestAnimationFrame(done));
      times.push(Number(document.documentElement.dataset.milliseconds));
    }
    return times.slice(10).sort((a, b) => a - b);
  })()`);
  console.log(`a slider is answered in ${times[times.length >> 1]} ms (median, least ${times[0]} ms) of two moons, 2000 particles`);

  // The exact law, of a guided Gaussian.
  await open("#data=gaussian&label=1&scale=2&steps=12");
  const [, law] = asked("plan 0 0 6 12", "law 1 2");
  const numbers = law.split(" ").map(Number), half = (numbers.length - 2) / 2;
  const shown = (axis) => [0, 1, 2, 3].map((k) => Math.sqrt(numbers[2 + axis * half + 2 * k + 1]).toPrecision(4));
  const rows = shown(1).map((v, i) => `${v} ${shown(0)[i]}`).join("\n");
  expect("deviations", await evaluate(`[...document.querySelectorAll("#law-rows tr")].map((r) => [...r.querySelectorAll("td")].map((c) => c.textContent).join(" ")).join("\\n")`), rows);
  expect("distance", await evaluate(`document.querySelector("#law-caption b").textContent`), `W₂ = ${numbers[0].toPrecision(3)}`);
  const [curve] = asked("errors 0 0 6 64 0 1 2");
  const flat = curve.split(" ").map(Number), error = flat[flat.findIndex((v, i) => i % 2 === 0 && v === 12) + 1];
  expect("error", await evaluate(`document.querySelector("#errors-caption b").textContent`), error.toPrecision(3));

  // A refusal is said in the library's words.
  await open("#data=mixture&schedule=flow&grid=time&sampler=heun");
  const [refusal] = asked("plan 4 3 1 20");
  expect("refusal", await evaluate("document.getElementById('refusal').textContent"), refusal.slice(1));

  // Everything with a name, nothing wider than the screen.
  const views = [["moons", ""], ["gaussian", "#data=gaussian&label=1&scale=2"], ["digits", "#data=digits&label=4"]];
  for (const width of [1360, 390])
    for (const dark of [false, true])
      for (const [name, hash] of views) {
        await open(hash, { width, dark });
        expect(`${name} on ${width} pixels`, await evaluate(`document.documentElement.scrollWidth <= ${width}`), true);
        if (pictures) {
          await new Promise((done) => setTimeout(done, 2500));
          const { data } = await send("Page.captureScreenshot", { captureBeyondViewport: true });
          writeFileSync(join(pictures, `${name}_${width}_${dark ? "dark" : "light"}.png`), Buffer.from(data, "base64"));
        }
      }
  expect("controls without a name", await evaluate(`[...document.querySelectorAll("input, select, canvas, pre")].filter((e) => e.offsetParent && !e.labels?.length && !e.getAttribute("aria-label")).map((e) => e.id).join()`), "");
  expect("complaints", complaints.join("\n"), "");
  console.log("formulas, laws, errors and refusals as the native program's; no complaints");
} catch (error) {
  console.error(error.message, complaints.join("\n"));
  status = 1;
} finally {
  await new Promise((done) => {
    child.on("exit", done);
    child.kill();
  });
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(status);
