/** Pulls by podman, which also unpacks and mounts. */
import { allClients } from "./fixture.ts";
import { describePulls } from "./pulls.ts";

for (const client of await allClients("pull-podman")) if (client.name === "podman") describePulls(client);
