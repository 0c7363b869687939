// Digits 0 to 9 in the fonts that the browser has, as pictures of SIDE x SIDE numbers: -1 paper, 1 ink.

export const SIDE = 16;
const FACES = ["serif", "sans-serif", "monospace"];
const WEIGHTS = ["400", "700"];
const SHIFTS = [[0, 0], [0.6, -0.5]];

export function drawDigits() {
  const canvas = document.createElement("canvas");
  canvas.width = canvas.height = SIDE;
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.textAlign = "center";
  pen.textBaseline = "alphabetic";
  const pictures = [];
  for (const face of FACES)
    for (const weight of WEIGHTS)
      for (const [right, down] of SHIFTS)
        for (let digit = 0; digit < 10; ++digit) {
          pen.fillStyle = "black";
          pen.fillRect(0, 0, SIDE, SIDE);
          pen.fillStyle = "white";
          pen.font = `${weight} ${SIDE}px ${face}`;
          const box = pen.measureText(String(digit));
          const middle = (box.actualBoundingBoxAscent - box.actualBoundingBoxDescent) / 2;
          pen.fillText(String(digit), SIDE / 2 + right, SIDE / 2 + middle + down);
          const bytes = pen.getImageData(0, 0, SIDE, SIDE).data;
          pictures.push(Float64Array.from({ length: SIDE * SIDE }, (_, i) => bytes[4 * i] / 127.5 - 1));
        }
  return pictures;
}
