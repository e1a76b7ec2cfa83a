// `npm start`: the gateway on this machine, with a demonstration around it.

import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { SetupError, fail, say } from "./log.mjs";
import { setup } from "./setup.mjs";
import { root } from "./tools.mjs";

const HELP = `npm start -- [options]

  --port N      where the gateway listens on 127.0.0.1 (default 8787; the demonstration takes the next two)
  --state DIR   where its data is kept (default .state in the repository)
  --origin URL  the SCIM base of an origin of yours, in the place of the demonstration's
  --log         shows a line for each request
  --no-demo     only the gateway, to be configured over its API
  --help        this text

The environment variable ROOT_API_KEY sets the root key; without it one is made and kept with the data.`;

function options() {
  try {
    const { values } = parseArgs({
      options: {
        port: { type: "string", default: "8787" },
        state: { type: "string", default: join(root, ".state") },
        origin: { type: "string" },
        log: { type: "boolean", default: false },
        "no-demo": { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    });
    const port = Number(values.port);
    if (!Number.isInteger(port) || port < 0 || port > 65_533) {
      throw new Error("--port must be a number from 0 to 65533");
    }
    return { ...values, port, state: resolve(values.state) };
  } catch (error) {
    throw new SetupError(`${error.message}\n\n${HELP}`);
  }
}

async function main() {
  const chosen = options();
  if (chosen.help) return say(HELP);
  await setup();
  const { build } = await import("./build.mjs");
  const { serve } = await import("./gateway.mjs");
  await build();
  const given = process.env.ROOT_API_KEY;
  const output = chosen.log ? say : undefined;
  const gateway = await serve({ port: chosen.port, state: chosen.state, rootKey: given, console: true, output });
  const stops = [gateway.stop];
  let stopping = false;
  const stop = async () => {
    if (stopping) return;
    stopping = true;
    for (const one of stops.reverse()) await one();
    process.exit(0);
  };

  say(`\nscim-edge serves ${gateway.url}`);
  say(`  data: ${chosen.state}`);
  if (!given) say(`  root key: ${gateway.rootKey}`);
  const account = chosen["no-demo"] ? "an account of yours" : "account demo";
  say(`  console: ${gateway.url}/console/ (${account}, and a key of it or the root key)`);
  if (!chosen["no-demo"]) {
    const { serveDemo } = await import("./demo/demo.mjs");
    const { walkthrough } = await import("./demo/walkthrough.mjs");
    const demo = await serveDemo({ gateway, ...chosen });
    stops.push(demo.stop);
    say(`  identity provider: ${demo.idp}`);
    say("\nPaste these into another shell, one after another:\n");
    const steps = walkthrough({ gateway: gateway.url, rootKey: gateway.rootKey, ...demo });
    for (const { title, command } of steps) say(`# ${title}\n${command}\n`);
  }
  // In the place of Miniflare's own handlers, which end the process before everything is closed.
  for (const signal of ["SIGINT", "SIGTERM"]) {
    process.removeAllListeners(signal);
    process.on(signal, () => stop().catch(fail));
  }
  say("Ctrl-C stops it.");
}

await main().catch(fail);
