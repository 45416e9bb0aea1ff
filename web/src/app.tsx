import type { FunctionComponent } from "preact"
import { useEffect, useState } from "preact/hooks"
import { asError, type ApiError } from "./api/failure"
import { Devices } from "./devices/list"
import { DevicePage } from "./devices/device"
import { Fleet } from "./fleet"
import { Groups } from "./firewall/groups"
import { Nat } from "./firewall/nat"
import { Policies } from "./firewall/policies"
import { Rules } from "./firewall/rules"
import { Simulate } from "./firewall/simulate"
import { Zones } from "./firewall/zones"
import { Alerts } from "./ids/alerts"
import { Categories } from "./ids/categories"
import { Configuration } from "./ids/configuration"
import { OwnRules } from "./ids/ownrules"
import { Suppressions } from "./ids/suppressions"
import { Login } from "./login"
import { go, usePlace } from "./router"
import { Shaping } from "./qos/shaping"
import { resume, useStanding } from "./session"
import { Shell } from "./shell"
import { Live } from "./traffic/live"
import { Log } from "./traffic/log"
import { Overview } from "./traffic/overview"
import { Failure, Loading } from "./ui/state"
import { Toasts } from "./ui/toast"
import { View } from "./ui/view"

const pages: Record<string, FunctionComponent> = {
  "/": Overview,
  "/log": Log,
  "/live": Live,
  "/firewall/rules": Rules,
  "/firewall/policies": Policies,
  "/firewall/groups": Groups,
  "/firewall/zones": Zones,
  "/firewall/nat": Nat,
  "/firewall/simulate": Simulate,
  "/ids": Alerts,
  "/ids/config": Configuration,
  "/ids/categories": Categories,
  "/ids/rules": OwnRules,
  "/ids/suppressions": Suppressions,
  "/qos": Shaping,
  "/devices": Devices,
}

export function App() {
  const standing = useStanding()
  const place = usePlace()
  const [failed, setFailed] = useState<ApiError>()
  const start = () => void resume().catch((e) => setFailed(asError(e)))
  useEffect(start, [])
  // What passes by itself needs nobody to press a button.
  const wait = failed && (failed.retryAfter || (failed.passing ? 5 : 0))
  useEffect(() => {
    if (!wait) return
    const timer = setTimeout(start, wait * 1000)
    return () => clearTimeout(timer)
  }, [failed])

  if (standing === "out") return <Login />
  if (standing === "unknown")
    return (
      <main class="lonely">
        {failed ? <Failure error={failed} retry={start} /> : <Loading lines={3} label="Opening the session" />}
        {Boolean(wait) && <p class="muted small">The page tries again by itself{failed!.retryAfter ? ` in ${failed!.retryAfter} s` : ""}.</p>}
      </main>
    )
  if (place.path === "/login") {
    go("/", true)
    return null
  }
  const id = place.path.match(/^\/devices\/([^/]+)$/)?.[1]
  const Page = pages[place.path]
  return (
    <Fleet>
      <Shell path={place.path}>{Page ? <Page key={place.path} /> : id ? <DevicePage id={decodeURIComponent(id)} key={id} /> : <Nowhere />}</Shell>
      <Toasts />
    </Fleet>
  )
}

function Nowhere() {
  return (
    <View title="There is no such page">
      <p>
        The address leads nowhere. <a href="/">Go to the overview</a>.
      </p>
    </View>
  )
}
