// The console in a real browser, each page from end to end, against the gateway, an issuer and an origin.

/* global document -- what is evaluated in the page */

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { after, before, describe, test } from "node:test";
import { chromium } from "../../js/runtimes.mjs";
import { ACCOUNT, browse, go, serveConsole, signIn } from "./browser.mjs";
import { GROUP, USER, server, until } from "./harness.mjs";

const axe = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const PAGES = ["Settings", "Service accounts", "Explain a token", "Directory", "Replica", "Activity"];
const missing = chromium() ? false : "SKIPPED: there is no Chromium here (apt-get install chromium)";

describe("the console", { skip: missing }, () => {
  let served, browser, url;
  before(async () => {
    served = await serveConsole();
    url = served.gateway.url;
    browser = await browse(url);
  });
  after(async () => {
    await browser?.close();
    await served?.stop();
  });

  /** A page of an operator's, on one of the console's pages; a browser must have nothing to complain of. */
  async function open(t, name, key = served.key) {
    const page = await browser.page();
    t.after(async () => {
      await page.context().close();
      assert.deepEqual(page.complaints, []);
    });
    await signIn(page, ACCOUNT, key);
    if (name !== PAGES[0]) await go(page, name);
    return page;
  }

  test("it is served with a policy that lets nothing else in, and nothing but it is static", async () => {
    const answer = await fetch(`${url}/console/`);
    assert.equal(answer.status, 200);
    assert.match(answer.headers.get("content-type"), /^text\/html/);
    const policy = answer.headers.get("content-security-policy");
    for (const part of ["default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:", "form-action 'none'", "frame-ancestors 'none'", "base-uri 'none'"]) {
      assert.ok(policy.split("; ").includes(part), part);
    }
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
    assert.doesNotMatch(await answer.text(), /<script(?![^>]*src=)|<style|style=|\son\w+=/);
    assert.equal((await fetch(`${url}/console`, { redirect: "manual" })).headers.get("location"), "/console/");
    assert.equal((await fetch(`${url}/console/nothing`)).status, 404);
    for (const path of ["/_headers", "/console/_headers", "/index.html"]) assert.equal((await fetch(`${url}${path}`)).status, 404, path);
    assert.equal((await fetch(`${url}/healthz`)).status, 200);
  });

  test("signing in with the keyboard alone; a wrong key is told so; a reload asks again", async (t) => {
    const page = await browser.page();
    t.after(() => page.context().close());
    assert.equal(await page.evaluate(() => document.activeElement.labels[0].textContent), "Account");
    await page.keyboard.type(ACCOUNT);
    await page.keyboard.press("Tab");
    await page.keyboard.type(`pat.${ACCOUNT}.nobody.nothing`);
    await page.keyboard.press("Enter");
    await page.getByRole("alert").getByText("does not hold a valid key").waitFor();
    await page.getByLabel("API key").focus();
    await page.keyboard.press("Control+A");
    await page.keyboard.type(served.key);
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Settings", level: 1 }).waitFor();
    // From there to another page, by Tab and Enter.
    await until(async () => {
      await page.keyboard.press("Tab");
      return page.evaluate(() => document.activeElement.textContent === "Directory");
    });
    await page.keyboard.press("Enter");
    await page.getByRole("heading", { name: "Directory", level: 1 }).waitFor();
    assert.equal(await page.evaluate(() => document.activeElement.tagName), "H1");
    const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
    assert.equal(kept, '[{},{},""]');
    await page.reload();
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("a key that is revoked ends the session", async (t) => {
    const key = await served.calls.data("POST", "/ng/api/token", { apiKeyType: "USER", roleIdentifier: "_account_viewer", name: "short-lived" });
    const page = await open(t, "Settings", key);
    const { identifier } = (await served.calls.data("GET", "/ng/api/token")).find((one) => one.name === "short-lived");
    await served.calls.data("DELETE", `/ng/api/token/${identifier}`);
    // Whatever it asks for next tells it; where it has asked already there is nothing to click any more.
    await page.getByRole("navigation").getByRole("link", { name: "Service accounts" }).click({ timeout: 5_000 }).catch(() => {});
    await page.getByRole("heading", { name: "Sign in" }).waitFor();
    await page.getByRole("alert").getByText("The key is not valid any more.").waitFor();
  });

  test("the root key makes an account with its first service account", async (t) => {
    const page = await browser.page();
    t.after(() => page.context().close());
    await signIn(page, "fresh", served.gateway.rootKey);
    await page.getByText("There is no such account yet").waitFor();
    await page.getByRole("main").getByRole("link", { name: "service account" }).click();
    await page.getByRole("button", { name: "New service account" }).click();
    await page.getByLabel("Identifier").fill("entra");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("button", { name: "Mint key for entra" }).waitFor();
    await go(page, "Settings");
    await page.getByLabel("SCIM JWT token issuer").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("settings: checked while they are typed, saved, in force at a time, restored", async (t) => {
    const page = await open(t, "Settings");
    const { body } = await served.calls.call("GET", "/ng/api/settings?category=SCIM");
    for (const { setting } of body.data) await page.getByText(setting.identifier, { exact: true }).waitFor();
    const skew = page.getByLabel("SCIM JWT token clock skew in seconds");
    await skew.fill("301");
    await page.getByText("the value must be a whole number from 0 to 300").waitFor();
    assert.equal(await skew.getAttribute("aria-invalid"), "true");
    await skew.fill("45");
    await page.getByText("the value must be").waitFor({ state: "detached" });
    await page.getByLabel("How strictly SCIM is read").selectOption("strict");
    await page.getByText("2 changes not saved").waitFor();
    const value = async () => (await served.calls.data("GET", "/ng/api/settings/scim_jwt_token_clock_skew_seconds")).value;
    assert.equal(await value(), "30", "nothing is stored before it is saved");
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await page.getByText(/2 saved, in force everywhere by \d\d:\d\d:\d\d/).waitFor();
    assert.equal(await value(), "45");
    const row = page.locator(".setting", { has: skew });
    await row.getByText(/everywhere by/).waitFor();
    await row.getByRole("button", { name: "Restore default" }).click();
    await page.locator(".setting", { has: page.getByLabel("How strictly SCIM is read") }).getByRole("button", { name: "Restore default" }).click();
    await page.getByRole("button", { name: "Save", exact: true }).click();
    await row.getByText("30", { exact: true }).waitFor();
    assert.equal(await value(), "30");
  });

  test("settings: a key set's URL is tried before it is set", async (t) => {
    const page = await open(t, "Settings");
    const row = page.locator(".setting", { has: page.getByLabel("SCIM JWT token jwks keys public URL") });
    await row.getByRole("button", { name: "Test this URL" }).click();
    await row.getByText("2 of 2 keys can check signatures").waitFor();
    await row.getByRole("cell", { name: "rs256-1" }).waitFor();
    const weak = await server(() => ({ headers: { "content-type": "application/json", "cache-control": "max-age=120" }, body: { keys: [{ kty: "oct", alg: "HS256", k: "AAAA", kid: "weak" }] } }));
    t.after(weak.stop);
    const input = row.getByRole("textbox");
    await input.fill(`${weak.url}/keys`);
    await row.getByRole("button", { name: "Test this URL" }).click();
    await row.getByText("0 of 1 keys can check signatures; fresh for 2 min 0 s").waitFor();
    await row.getByText("not usable").waitFor();
    await input.fill("https://169.254.169.254/keys");
    await row.getByRole("button", { name: "Test this URL" }).click();
    await row.getByRole("alert").getByText("169.254.169.254").waitFor();
  });

  test("trust rules: added, refused with a sentence, deleted", async (t) => {
    const page = await open(t, "Settings");
    await page.getByRole("button", { name: "Add a rule" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Name", { exact: true }).fill("partner");
    await dialog.getByLabel("Key set URL").fill(`${served.idp.url}/keys`);
    await dialog.getByLabel("Acts as").selectOption("provisioner");
    await dialog.getByRole("button", { name: "Save" }).click();
    await dialog.getByText("a rule needs claims").waitFor();
    await dialog.getByLabel("Claims").fill("client_id = partner-7");
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("cell", { name: "client_id = partner-7" }).waitFor();
    const rule = await served.calls.data("GET", "/ng/api/settings/jwt-rules/partner");
    assert.deepEqual(rule.claims, [{ field: "client_id", value: "partner-7" }]);
    await page.getByRole("button", { name: "Delete partner" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByText("No rules yet").waitFor();
  });

  test("service accounts: made, given a role and a key that is shown once and works, revoked, deleted", async (t) => {
    const page = await open(t, "Service accounts");
    await page.getByRole("button", { name: "New service account" }).click();
    await page.getByLabel("Identifier").fill("4you");
    await page.getByText("Begin with a letter or _").waitFor();
    await page.getByLabel("Identifier").fill("okta");
    await page.getByRole("button", { name: "Create" }).click();
    await page.getByRole("button", { name: "Assign role to okta" }).click();
    await page.getByRole("dialog").getByLabel("Role").selectOption("_scim_provisioner");
    await page.getByRole("button", { name: "Assign", exact: true }).click();
    await page.getByRole("button", { name: "Take _scim_provisioner from okta" }).waitFor();
    await page.getByRole("button", { name: "Mint key for okta" }).click();
    await page.getByLabel("Name", { exact: true }).fill("okta's own");
    await page.getByRole("button", { name: "Mint", exact: true }).click();
    const key = await page.locator("output").textContent();
    assert.match(key, /^sat\.demo\./);
    assert.equal((await served.gateway.scim(ACCOUNT, key).get("/Users?count=1")).status, 200);
    await page.getByRole("button", { name: "Done" }).click();
    assert.ok(!(await page.content()).includes(key), "it is shown once");
    await page.getByRole("button", { name: "Revoke okta's own" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
    await page.getByRole("button", { name: "Revoke okta's own" }).waitFor({ state: "detached" });
    const keys = await served.calls.data("GET", "/ng/api/token");
    assert.ok(!keys.some((one) => one.name === "okta's own"));
    await page.getByRole("button", { name: "Delete okta" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete okta" }).waitFor({ state: "detached" });
    assert.equal((await served.calls.call("GET", "/ng/api/serviceaccount/okta")).status, 404);
  });

  test("roles: made of permissions, changed, deleted", async (t) => {
    const page = await open(t, "Service accounts");
    await page.getByRole("button", { name: "New role" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Identifier").fill("reader");
    await dialog.getByLabel("core_user_view").check();
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByRole("button", { name: "Edit reader" }).click();
    await dialog.getByLabel("core_usergroup_view").check();
    await dialog.getByRole("button", { name: "Save" }).click();
    await page.getByText("core_user_view, core_usergroup_view", { exact: true }).waitFor();
    assert.deepEqual((await served.calls.data("GET", "/authz/api/roles/reader")).permissions, ["core_user_view", "core_usergroup_view"]);
    await page.getByRole("button", { name: "Delete reader" }).click();
    await dialog.getByRole("button", { name: "Delete" }).click();
    await page.getByRole("button", { name: "Delete reader" }).waitFor({ state: "detached" });
  });

  test("a token: let in with its permissions, or refused at the check that failed", async (t) => {
    const page = await open(t, "Explain a token");
    const explain = async (token) => {
      await page.getByLabel("Token", { exact: true }).fill(token);
      await page.getByRole("button", { name: "Explain" }).click();
    };
    // A browser's spelling help may send what is typed to its maker.
    assert.equal(await page.getByLabel("Token", { exact: true }).getAttribute("spellcheck"), "false");
    await explain(await served.idp.mint({ sub: "demo-client" }));
    await page.getByRole("heading", { name: "Let in" }).waitFor();
    await page.getByText("by rule default").waitFor();
    await page.getByText("core_usergroup_manage").waitFor();
    assert.equal(await page.getByText(": failed").count(), 0);
    await explain(`Bearer ${await served.idp.mint({ sub: "another-client" })}`);
    await page.getByRole("heading", { name: "Refused" }).waitFor();
    await page.locator(".steps li.bad").getByText("another-client").waitFor();
    await page.getByRole("button", { name: "Forget it" }).click();
    assert.equal(await page.getByLabel("Token", { exact: true }).inputValue(), "");
    assert.equal(await page.locator(".steps").count(), 0);
  });

  test("the directory: filters, a mistake at its place, a resource with its groups and its freshness", async (t) => {
    const page = await open(t, "Directory");
    await page.getByText(/1 to 25 of 5\d/).waitFor();
    await page.getByRole("button", { name: "Next" }).click();
    await page.getByText(/26 to 50 of 5\d/).waitFor();
    const filter = page.getByLabel("SCIM filter");
    await filter.fill('userName sw "ada" und active eq true');
    await page.keyboard.press("Enter");
    await page.locator("mark").waitFor();
    assert.equal(await page.locator(".mistake").textContent(), 'userName sw "ada" und active eq true');
    assert.equal(await page.locator("mark").textContent(), "u");
    await filter.fill('userName eq "ada.lovelace@example.com"');
    await page.keyboard.press("Enter");
    await page.getByText("1 to 1 of 1").waitFor();
    await page.getByRole("link", { name: "ada.lovelace@example.com" }).click();
    await page.getByRole("heading", { name: "Ada Lovelace" }).waitFor();
    await page.locator(".fresh").getByText("scim-edge; hit").waitFor();
    await page.locator('code[title="ETag"]').getByText(/^W\//).waitFor();
    await page.getByRole("link", { name: "Everyone" }).click();
    await page.getByRole("heading", { name: /^Members/ }).waitFor();
    await page.getByRole("link", { name: "‹ Groups" }).click();
    await page.getByLabel("SCIM filter").fill('displayName eq "nobody"');
    await page.getByRole("button", { name: "Search" }).click();
    await page.getByText("Nothing matches").waitFor();
  });

  test("the replica: a change behind the gateway is found by a check, and gone after a resync", async (t) => {
    const made = await served.behind.call("POST", "/Users", { schemas: [USER], userName: "unseen@example.com" });
    assert.equal(made.status, 201);
    const page = await open(t, "Replica");
    await page.getByText("live", { exact: true }).waitFor();
    await page.getByText("up", { exact: true }).waitFor();
    await page.getByText("closed", { exact: true }).waitFor();
    await page.getByRole("button", { name: "Check against the origin" }).click();
    await page.getByRole("row", { name: `missing here User ${made.body.id}` }).waitFor();
    await page.getByRole("button", { name: "Resync" }).click();
    await page.getByRole("dialog").getByText(/^This replaces \d+ users/).waitFor();
    await page.getByRole("dialog").getByRole("button", { name: /^Replace \d+ users and \d+ groups?$/ }).click();
    const filter = encodeURIComponent('userName eq "unseen@example.com"');
    await until(async () => (await served.gateway.scim(ACCOUNT, served.key).get(`/Users?filter=${filter}`)).body.totalResults === 1);
    await page.getByRole("button", { name: "Check against the origin" }).click();
    await page.getByRole("heading", { name: "Differences none" }).waitFor();
  });

  test("the replica: an account without an origin, and one whose origin is down", async (t) => {
    await served.gateway.account("record");
    let isDown = false;
    const down = await server(() => (isDown ? { status: 503, body: {} } : { body: { totalResults: 0, Resources: [] } }));
    t.after(down.stop);
    const client = await served.gateway.account("broken", { scim_origin_url: `${down.url}/scim`, scim_origin_authorization: "Bearer x" });
    isDown = true;
    const page = await browser.page();
    t.after(() => page.context().close());
    await signIn(page, "record", served.gateway.rootKey);
    await go(page, "Replica");
    await page.getByText("The system of record").waitFor();
    assert.equal(await page.getByRole("button", { name: "Resync" }).count(), 0);
    await page.getByRole("button", { name: "Sign out" }).click();
    await signIn(page, "broken", served.gateway.rootKey);
    await until(async () => {
      await client.call("POST", "/Users", { schemas: [USER], userName: "nobody" });
      const { circuit } = (await served.gateway.admin("broken").call("GET", "/ng/api/scim/account/broken/.replica")).body.origin;
      return circuit === "open";
    });
    await go(page, "Replica");
    await page.getByText("down", { exact: true }).waitFor();
    await page.getByText("open", { exact: true }).waitFor();
    await page.getByText("Writes are answered 503 at once").waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("the brake: what it stopped, and the way through it; a service account's mode", async (t) => {
    const limits = { scim_brake_removals_per_hour: "1", scim_brake_removals_percent: "0", scim_brake_least_resources: "2" };
    const client = await served.gateway.account("braked", limits);
    const ids = [];
    for (const userName of ["a", "b", "c", "d"]) ids.push((await client.call("POST", "/Users", { schemas: [USER], userName })).body.id);
    const remove = async () => (await client.call("DELETE", `/Users/${ids.pop()}`)).status;
    assert.deepEqual([await remove(), await remove()], [204, 429]);
    const page = await browser.page();
    t.after(() => page.context().close());
    await signIn(page, "braked", served.gateway.rootKey);
    await go(page, "Replica");
    await page.getByText("stopping removals").waitFor();
    await page.getByRole("button", { name: "Let through" }).click();
    const dialog = page.getByRole("dialog");
    assert.equal(await dialog.getByLabel("Removals").inputValue(), "1");
    await dialog.getByRole("button", { name: "Let through" }).click();
    await page.getByText("letting removals through").waitFor();
    assert.equal(await remove(), 204);
    await go(page, "Service accounts");
    await page.getByRole("button", { name: "Mode of provisioner" }).click();
    await dialog.getByLabel("Mode").selectOption("shadow");
    await dialog.getByRole("button", { name: "Set" }).click();
    await page.getByRole("row").filter({ hasText: "provisioner" }).getByText("shadow", { exact: true }).waitFor();
    assert.deepEqual(page.complaints, []);
  });

  test("activity: writes, changes of settings and refusals as they come, filtered; a day in charts", async (t) => {
    const page = await open(t, "Activity");
    const client = served.gateway.scim(ACCOUNT, await served.idp.mint({ sub: "demo-client" }));
    const { status, body } = await client.call("POST", "/Groups", { schemas: [GROUP], displayName: "Watchers" });
    assert.equal(status, 201);
    // It comes by itself.
    const row = page.getByRole("row").filter({ hasText: "group.create" }).filter({ hasText: body.id });
    await row.waitFor();
    assert.match(await row.textContent(), /ok 201.*provisioner.*demo-client/);
    await row.getByRole("link", { name: body.id }).click();
    await page.getByRole("heading", { name: "Watchers" }).waitFor();
    const stranger = served.gateway.scim(ACCOUNT, await served.idp.mint({ sub: "another-client" }));
    assert.equal((await stranger.get("/Users")).status, 403);
    await go(page, "Activity");
    await page.getByLabel("Kind").selectOption("refused");
    await page.getByRole("row").filter({ hasText: "claim_mismatch" }).first().waitFor();
    assert.equal(await page.getByRole("row").filter({ hasText: "group.create" }).count(), 0);
    await page.getByLabel("Kind").selectOption("settings");
    await page.getByRole("row").filter({ hasText: "settings" }).nth(1).waitFor();
    await page.getByLabel("Principal").fill("nobody at all");
    await page.getByText("Nothing matches the filters.").waitFor();
    const chart = page.getByRole("img", { name: /^Requests of the last 24 hours: [1-9]/ });
    await until(async () => {
      await go(page, "Replica");
      await go(page, "Activity");
      return (await chart.count()) === 1;
    });
    assert.ok((await chart.locator("rect").count()) > 0);
    await page.getByText("The same as a table").click();
    await page.getByRole("region", { name: "The last 24 hours" }).getByRole("rowheader").first().waitFor();
  });

  test("the root key reads the directory through a key for an hour", async (t) => {
    const page = await open(t, "Directory", served.gateway.rootKey);
    await page.getByRole("button", { name: "Mint a key for an hour" }).click();
    await page.getByText(/1 to 25 of 5\d/).waitFor();
    const key = (await served.calls.data("GET", "/ng/api/token")).find((one) => one.name === "console, for an hour");
    assert.equal(key.roleIdentifier, "_account_viewer");
    assert.ok(key.validTo - Date.now() <= 3_600_000);
  });

  for (const colorScheme of ["light", "dark"]) {
    for (const [form, viewport] of Object.entries({ desktop: { width: 1280, height: 800 }, phone: { width: 390, height: 844 } })) {
      test(`axe finds nothing serious on any page, and no page is wider than the screen: ${colorScheme}, ${form}`, async (t) => {
        // Only here: axe is put into the page, which its policy would not let in.
        const page = await browser.page({ colorScheme, viewport, bypassCSP: true });
        t.after(() => page.context().close());
        const look = async (name) => {
          await page.addScriptTag({ path: axe });
          const { violations } = await page.evaluate(() => globalThis.axe.run(document, { resultTypes: ["violations"] }));
          const serious = violations.filter(({ impact }) => ["serious", "critical"].includes(impact));
          assert.deepEqual(serious.map(({ id, nodes }) => [name, id, nodes.map((node) => node.html)]), []);
          const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
          assert.equal(wide, 0, `${name} is ${wide} px wider than the screen`);
        };
        await look("Sign in");
        await signIn(page, ACCOUNT, served.key);
        for (const name of PAGES) {
          await go(page, name);
          await look(name);
        }
        await go(page, "Service accounts");
        await page.getByRole("button", { name: "New role" }).click();
        await look("New role");
      });
    }
  }
});
