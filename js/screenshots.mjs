// `npm run screenshots`: the pictures of the console in docs/images, of the demonstration's account.

import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { ACCOUNT, browse, go, serveConsole, signIn } from "../tests/e2e/browser.mjs";
import { GROUP } from "../tests/e2e/harness.mjs";
import { SetupError, fail, say } from "./log.mjs";
import { chromium } from "./runtimes.mjs";
import { root } from "./tools.mjs";

const folder = join(root, "docs", "images");
const MOST_BYTES = 60 * 1024;
const DESKTOP = { width: 1200, height: 760 };
const PHONE = { width: 390, height: 760 };

/** Each page, and what is done before it is looked at. */
const PAGES = [
  { name: "settings", page: "Settings" },
  { name: "service-accounts", page: "Service accounts" },
  { name: "explain", page: "Explain a token", before: explain },
  { name: "directory", page: "Directory", before: search },
  { name: "replica", page: "Replica", before: check },
  { name: "activity", page: "Activity", before: settle },
];

/** How each is looked at. */
const LOOKS = {
  light: { viewport: DESKTOP, colorScheme: "light" },
  dark: { viewport: DESKTOP, colorScheme: "dark" },
  phone: { viewport: PHONE, colorScheme: "light" },
};

const PICTURES = PAGES.flatMap((one) => Object.entries(LOOKS).map(([look, how]) => ({ ...one, ...how, file: `${one.name}-${look}` })));

async function explain(page, { idp }) {
  await page.getByLabel("Token", { exact: true }).fill(await idp.mint({ sub: "another-client" }));
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByRole("heading", { name: "Refused" }).waitFor();
  await page.locator(".steps li.bad").last().evaluate((step) => step.scrollIntoView({ block: "end" }));
}

async function search(page) {
  await page.getByLabel("SCIM filter").fill('name.familyName eq "Lovelace" and active eq true');
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("1 to 10 of 10").waitFor();
}

async function check(page) {
  await page.getByRole("button", { name: "Check against the origin" }).click();
  await page.getByText(/^checked/).waitFor();
}

async function settle(page) {
  await page.getByRole("figure").first().waitFor();
}

async function main() {
  if (!chromium()) throw new SetupError("There is no Chromium here", "apt-get install --no-install-recommends chromium");
  const served = await serveConsole();
  const browser = await browse(served.gateway.url);
  try {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    await work(served);
    for (const { file, page: name, viewport, colorScheme, before } of PICTURES) {
      const page = await browser.page({ viewport, colorScheme });
      await signIn(page, ACCOUNT, served.key);
      await go(page, name);
      await before?.(page, served);
      const path = join(folder, `${file}.png`);
      // A page has few colours.
      const { size } = await sharp(await page.screenshot()).png({ palette: true, colours: 64, effort: 10 }).toFile(path);
      say(`${file}.png: ${Math.round(size / 1024)} KiB`);
      if (size > MOST_BYTES) throw new Error(`${file}.png is larger than ${MOST_BYTES} bytes`);
      await page.context().close();
    }
  } finally {
    await browser.close();
    await served.stop();
  }
}

/** Some work for the pictures to show: reads, writes and refusals. */
async function work({ gateway, idp }) {
  const client = gateway.scim(ACCOUNT, await idp.mint({ sub: "demo-client" }));
  const stranger = gateway.scim(ACCOUNT, await idp.mint({ sub: "another-client" }));
  for (let round = 0; round < 20; round += 1) {
    await client.get("/Users?count=5");
    if (round % 5 === 0) await stranger.get("/Users");
  }
  for (const displayName of ["Design", "Legal", "Research"]) {
    await client.call("POST", "/Groups", { schemas: [GROUP], displayName });
  }
}

await main().catch(fail);
