// The compiled library as functions of JavaScript. Answers are arrays of numbers; a refusal is thrown, in the library's
// own words.

const TABLES = { schedule: 0, grid: 1, sampler: 2, data: 3 };

export async function openEngine(load) {
  const wasm = await load();
  const text = (address) => wasm.UTF8ToString(address);
  const answer = (count) => {
    if (count < 0) throw new Error(text(wasm._explorer_text()));
    return new Float64Array(wasm.HEAPF64.buffer, wasm._explorer_answer(), count).slice();
  };

  const tables = {};
  for (const [name, table] of Object.entries(TABLES))
    tables[name] = Array.from({ length: wasm._explorer_count(table) }, (_, i) => ({
      name: text(wasm._explorer_name(table, i)),
      title: text(wasm._explorer_title(table, i)),
      code: text(wasm._explorer_code(table, i)),
    }));
  const row = (table, name) => tables[table].findIndex((entry) => entry.name === name);
  const choice = (s) => [row("schedule", s.schedule), row("grid", s.grid)];

  return {
    tables,
    classes: (data) => wasm._explorer_classes(row("data", data)),
    plan(s) {
      const [steps, evaluations, draws, registers] = answer(
        wasm._explorer_plan(...choice(s), row("sampler", s.sampler), s.steps));
      return { steps, evaluations, draws, registers };
    },
    // 0 refused, 1 taken, 2 taken and draws; in the order of the table of samplers.
    fits: (s) => answer(wasm._explorer_fits(...choice(s), s.steps)),
    formulas: () => text(wasm._explorer_formulas()),
    levels() {
      const flat = answer(wasm._explorer_levels());
      return Array.from({ length: flat.length / 3 }, (_, i) => ({
        time: flat[3 * i], alpha: flat[3 * i + 1], sigma: flat[3 * i + 2],
      }));
    },
    particles: (s, count) =>
      answer(wasm._explorer_particles(row("data", s.data), s.label, s.scale, count, s.seed)),
    density: (s, level, size, extent) =>
      answer(wasm._explorer_density(row("data", s.data), s.label, level.alpha, level.sigma, size, extent)),
    law(s) {
      const flat = answer(wasm._explorer_law(s.label, s.scale));
      const each = (flat.length - 2) / 2;
      const axes = [0, 1].map((i) => {
        const part = flat.subarray(2 + i * each, 2 + (i + 1) * each);
        const law = (k) => ({ mean: part[2 * k], variance: part[2 * k + 1] });
        const marks = part.subarray(8);
        return {
          data: law(0),
          wanted: law(1),
          tilted: law(2),
          made: law(3),
          variances: marks.filter((_, k) => k % 2 === 0),
          exact: marks.filter((_, k) => k % 2 === 1),
        };
      });
      return { distance: flat[0], divergence: flat[1], axes };
    },
    // [{calls, error}] of a sampler, up to `most` calls.
    errors(s, sampler, most) {
      const flat = answer(wasm._explorer_errors(
        ...choice(s), row("sampler", sampler), most, row("data", s.data), s.label, s.scale));
      return Array.from({ length: flat.length / 2 }, (_, i) => ({ calls: flat[2 * i], error: flat[2 * i + 1] }));
    },
    // Pictures, arrays of one length with numbers in [-1, 1], of the classes 0, 1, ... again and again.
    remember(pictures, classes) {
      const pixels = pictures[0].length;
      const address = wasm._explorer_picture_input(pixels, pictures.length);
      const input = new Float64Array(wasm.HEAPF64.buffer, address, pixels * pictures.length);
      pictures.forEach((picture, i) => input.set(picture, i * pixels));
      answer(wasm._explorer_remember(pixels, classes));
    },
    pictures: (s, count) => answer(wasm._explorer_pictures(s.label, s.scale, count, s.seed)),
  };
}
