// Running other programs.

import { spawn, spawnSync } from "node:child_process";
import { SetupError } from "./log.mjs";

/** What a program prints, or `undefined` where it cannot be run. */
export function output(program, args, options = {}) {
  const result = spawnSync(program, args, { ...options, encoding: "utf8" });
  return result.status === 0 ? result.stdout : undefined;
}

/**
 * Runs a program to its end. Its output is shown, or, with `quiet`, kept and shown where it fails.
 */
export function run(program, args, { quiet = false, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const stdio = quiet ? ["ignore", "pipe", "pipe"] : ["ignore", "inherit", "inherit"];
    const child = spawn(program, args, { stdio, ...options });
    let kept = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk) => {
        kept = (kept + chunk).slice(-20_000);
      });
    }
    const command = [program, ...args].join(" ");
    child.on("error", (error) => reject(new SetupError(`${command}: ${error.message}`)));
    child.on("close", (code) => {
      if (code === 0) return resolve(kept);
      if (quiet) process.stderr.write(kept);
      reject(new SetupError(`${command} failed (exit code ${code})`));
    });
  });
}
