// A picture of what a read costs as the directory grows.

import { median } from "./statistics.mjs";

const COLOURS = ["#0b6e99", "#c2570c", "#4d7c0f", "#7c3aed", "#be123c", "#0f766e", "#a16207", "#475569", "#111827"];

/** CPU time against size, both axes in powers of ten: an SVG. */
export function plot(sizes) {
  const [width, height, left, top, right, bottom] = [760, 420, 70, 20, 220, 50];
  const counts = sizes.map(({ count }) => Math.log10(count));
  const names = Object.keys(sizes[0].found);
  const value = (found, name) => Math.log10(Math.max(median(found[name].cpu) || 1e6 / Math.max(median(found[name].perSecond), 0.01), 1));
  const all = sizes.flatMap(({ found }) => names.map((name) => value(found, name)));
  const [low, high] = [Math.floor(Math.min(...all)), Math.ceil(Math.max(...all))];
  const x = (log) => left + ((log - counts[0]) / (counts.at(-1) - counts[0])) * (width - left - right);
  const y = (log) => height - bottom - ((log - low) / (high - low)) * (height - top - bottom);
  const text = (at, to, words, more = "") => `<text x="${at.toFixed(1)}" y="${to.toFixed(1)}" ${more}>${words}</text>`;
  const grid = [];
  for (let power = low; power <= high; power += 1) {
    grid.push(`<path d="M${left} ${y(power).toFixed(1)}H${width - right}" stroke="#ddd"/>`, text(left - 8, y(power) + 4, (10 ** power).toLocaleString("en"), 'text-anchor="end"'));
  }
  sizes.forEach(({ count }, place) => grid.push(text(x(counts[place]), height - bottom + 20, count.toLocaleString("en"), 'text-anchor="middle"')));
  // Names stand beside the ends of their lines, apart from each other.
  const ends = names.map((name) => ({ name, at: y(value(sizes.at(-1).found, name)) })).sort((a, b) => a.at - b.at);
  ends.forEach((end, place) => (end.at = Math.max(end.at, place === 0 ? top : ends[place - 1].at + 15)));
  const lines = names.map((name, place) => {
    const points = sizes.map(({ found }, index) => `${x(counts[index]).toFixed(1)},${y(value(found, name)).toFixed(1)}`).join(" ");
    const colour = COLOURS[place % COLOURS.length];
    const end = ends.find((one) => one.name === name);
    return `<polyline points="${points}" fill="none" stroke="${colour}" stroke-width="2"/>${text(width - right + 8, end.at + 4, name, `fill="${colour}"`)}`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12">
<rect width="${width}" height="${height}" fill="white"/>
${grid.join("\n")}
${lines.join("\n")}
${text((left + width - right) / 2, height - 8, "users in the directory", 'text-anchor="middle"')}
${text(16, (top + height - bottom) / 2, "CPU of a read, µs", `text-anchor="middle" transform="rotate(-90 16 ${(top + height - bottom) / 2})"`)}
</svg>
`;
}
