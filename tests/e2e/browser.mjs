// The console in the system's Chromium: a gateway with the demonstration around it, and pages that hold
// whatever a browser complains of.

import { join } from "node:path";
import { chromium as playwright } from "playwright-core";
import { serveDemo } from "../../js/demo/demo.mjs";
import { chromium, chromiumFlags } from "../../js/runtimes.mjs";
import { start, until } from "./harness.mjs";

/** The account of the demonstration. */
export const ACCOUNT = "demo";

/** A gateway with its console, and the demonstration's account with an issuer, an origin and keys of its own. */
export async function serveConsole() {
  const gateway = await start({ console: true });
  const demo = await serveDemo({ gateway, port: 0, state: join(gateway.folder, "demo") });
  const idp = await gateway.idp();
  const calls = gateway.admin(ACCOUNT);
  await calls.set({
    scim_jwt_token_jwks_keys_url: `${idp.url}/keys`,
    scim_jwt_token_key_field: "sub",
    scim_jwt_token_value_field: "demo-client",
    scim_jwt_token_service_account_id: "provisioner",
    scim_jwt_token_issuer: idp.url,
  });
  const key = await calls.data("POST", "/ng/api/token", { apiKeyType: "USER", roleIdentifier: "_account_admin", name: "operator" });
  return {
    gateway,
    idp,
    calls,
    key,
    async stop() {
      await demo.stop();
      await gateway.stop();
    },
  };
}

/** Chromium; `page` opens a page of its own, with everything it complains of in `page.complaints`. */
export async function browse(url) {
  const browser = await playwright.launch({ executablePath: chromium(), args: chromiumFlags });
  return {
    async page(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
      const page = await context.newPage();
      page.complaints = [];
      page.on("console", (message) => {
        // A refused call is the page's to show; Chromium logs it all the same.
        const refused = /Failed to load resource: the server responded with a status of 4/.test(message.text());
        if (["error", "warning"].includes(message.type()) && !refused) page.complaints.push(message.text());
      });
      page.on("pageerror", (error) => page.complaints.push(error.stack));
      page.on("request", (request) => {
        if (!request.url().startsWith(url)) page.complaints.push(`asks ${request.url()}`);
      });
      await page.goto(`${url}/console/`);
      return page;
    },
    close: () => browser.close(),
  };
}

/** Signs in. */
export async function signIn(page, account, key) {
  await page.getByLabel("Account").fill(account);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("navigation").waitFor();
}

/** Goes to a page by its name in the navigation, and waits for what it loads. */
export async function go(page, name) {
  await page.getByRole("navigation").getByRole("link", { name, exact: true }).click();
  await page.getByRole("heading", { name, level: 1 }).waitFor();
  await until(async () => (await page.getByText("Loading …").count()) === 0);
}
