// KV over a folder, in the private protocol that workerd's bindings speak; counts what it is asked.

const counts = { reads: 0, writes: 0 };

export default {
  async fetch(request, { PAIRS }) {
    const { pathname } = new URL(request.url);
    if (pathname === "/.counts") return Response.json(counts);
    // The folder's own names: a colon in a name is escaped as it came.
    const url = `http://pairs/${pathname.slice(1).replaceAll("%", "_")}`;
    if (request.method === "PUT") {
      counts.writes += 1;
      return PAIRS.fetch(url, { method: "PUT", body: await request.arrayBuffer() });
    }
    counts.reads += 1;
    return PAIRS.fetch(url);
  },
};
