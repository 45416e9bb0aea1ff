// The dashboard in a real browser, against the lab's real traffic.
import { end, open } from "./browser.mjs"
import * as firewall from "./firewall.mjs"
import * as ids from "./ids.mjs"
import * as qos from "./qos.mjs"
import * as session from "./session.mjs"
import * as traffic from "./traffic.mjs"

const { browser, context, page } = await open()
try {
  await session.login(page)
  await traffic.run(page, context)
  await firewall.run(page)
  await ids.run(page)
  await qos.run(page)
  await firewall.devices(page)
  await session.end(page)
} finally {
  await browser.close()
}
end()
