// What a Worker's isolate holds once its garbage is collected, Wasm's memory apart. Asked of workerd's inspector, by a
// process of its own: Node 20 has its WebSocket behind a flag.

import { pathToFileURL } from "node:url";
import { output } from "../run.mjs";

/** Bytes of the heap and of buffers beside it; nothing where Node is too old to ask. */
export async function heap(inspector) {
  const [{ webSocketDebuggerUrl }] = (await (await fetch(`${inspector}/json`)).json()).filter(({ id }) => id === "main");
  const said = output(process.execPath, ["--experimental-websocket", "--no-warnings", import.meta.filename, webSocketDebuggerUrl], { timeout: 30_000 });
  return said && Number(said);
}

/** Prints it for the isolate at an address; a snapshot is what makes it collect its garbage. */
function tell(address) {
  const socket = new WebSocket(address);
  socket.onopen = () => {
    for (const [id, method] of ["HeapProfiler.takeHeapSnapshot", "Runtime.getHeapUsage"].entries()) socket.send(JSON.stringify({ id, method }));
  };
  socket.onmessage = ({ data }) => {
    const { id, result } = JSON.parse(data);
    if (id !== 1) return;
    process.stdout.write(String(result.usedSize + result.backingStorageSize), () => process.exit());
  };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) tell(process.argv[2]);
