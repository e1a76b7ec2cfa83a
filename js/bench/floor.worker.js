// The floor: what the platform itself costs. A bare Worker, a bare object, one read of SQLite.

const text = { headers: { "content-type": "application/scim+json" } };

export class Floor {
  constructor(state) {
    this.sql = state.storage.sql;
    this.sql.exec("CREATE TABLE IF NOT EXISTS resource (id TEXT PRIMARY KEY, body TEXT NOT NULL)");
    this.page = this.sql.exec("SELECT body FROM resource WHERE id = 'page'").toArray()[0]?.body;
  }

  async fetch(request) {
    const { pathname } = new URL(request.url);
    if (request.method === "PUT") {
      const resources = await request.json();
      for (const [id, body] of Object.entries(resources)) this.sql.exec("INSERT OR REPLACE INTO resource VALUES (?, ?)", id, body);
      this.page = resources.page ?? this.page;
      return new Response("ok");
    }
    if (pathname === "/page") return new Response(this.page, text);
    const [found] = this.sql.exec("SELECT body FROM resource WHERE id = ?", pathname.slice(1)).toArray();
    return found ? new Response(found.body, text) : new Response("", { status: 404 });
  }
}

export default {
  fetch(request, { FLOOR }) {
    return FLOOR.get(FLOOR.idFromName("floor")).fetch(request);
  },
};
