// The dashboard in a real browser, against the lab's real traffic.
import { end, open } from "./browser.mjs"
import * as traffic from "./traffic.mjs"
import * as session from "./session.mjs"

const { browser, context, page } = await open()
try {
  await session.login(page)
  await traffic.run(page, context)
  await session.end(page, context)
} finally {
  await browser.close()
}
end()
