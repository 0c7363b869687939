// The library that a built page holds, under node: call(name, arguments) gives an array of numbers, or the reason of a
// refusal.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

export async function openLibrary(page) {
  const [, script] = readFileSync(page, "utf8").match(/<script>\n([^]*?)<\/script>/);
  const require = createRequire(import.meta.url);
  const load = new Function("require", "__dirname", "__filename", `${script}; return loadExplorer;`)(require, ".", "library.js");
  const module = await load();
  const text = (address) => module.UTF8ToString(address);
  const writePictures = () => {  // as numbers.cpp does
    const pixels = 36, count = 20;
    const input = new Float64Array(module.HEAPF64.buffer, module._explorer_picture_input(pixels, count), pixels * count);
    input.forEach((_, i) => (input[i] = (i * i + 7 * Math.floor(i / pixels)) % 11 < 5 ? -1 : 1));
    module._explorer_remember(pixels, 10);
  };
  return {
    module,
    formulas: () => text(module._explorer_formulas()),
    call(name, args) {
      if (name === "pictures") writePictures();
      const count = module[`_explorer_${name}`](...args);
      if (count < 0) return text(module._explorer_text());
      return Array.from(new Float64Array(module.HEAPF64.buffer, module._explorer_answer(), count));
    },
  };
}
