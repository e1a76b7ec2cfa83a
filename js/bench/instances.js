// The Wasm instances that are made after this module has run: theirs is the memory that only grows.

const made = [];

WebAssembly.Instance = class extends WebAssembly.Instance {
  constructor(...parts) {
    super(...parts);
    made.push(this);
  }
};

/** How many bytes their memories have. */
export const wasmBytes = () => made.reduce((sum, { exports }) => sum + exports.memory.buffer.byteLength, 0);
