// What set-up and tests say: a line a step, and the seconds that long ones take.

/** Says one line. */
export function say(line) {
  process.stdout.write(`${line}\n`);
}

/** Runs `work`, saying every ten seconds that it is still going on. */
export async function step(title, work) {
  const began = Date.now();
  const seconds = () => Math.round((Date.now() - began) / 1000);
  say(`${title} …`);
  const timer = setInterval(() => say(`  … ${title}: ${seconds()} s`), 10_000);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (seconds() >= 10) say(`  … ${title}: done in ${seconds()} s`);
  }
}

/** A failure with the command that would mend it. */
export class SetupError extends Error {
  constructor(problem, command) {
    super(command ? `${problem}\n  To mend it: ${command}` : problem);
    this.name = "SetupError";
  }
}

/** Ends the process with a failure's sentence; anything else is shown with its stack. */
export function fail(error) {
  process.stderr.write(`${error instanceof SetupError ? error.message : (error?.stack ?? error)}\n`);
  process.exit(1);
}
