import type { ComponentChildren } from "preact"
import { useEffect, useRef, useState } from "preact/hooks"
import { useFleet } from "./fleet"
import { chooseZone, useZone, zoneName } from "./format"
import { setQuery, withQuery } from "./router"
import { logout } from "./session"
import { toggleTheme, useTheme } from "./theme"
import { Dot } from "./ui/badge"
import { IconButton } from "./ui/button"
import { Icon, type IconName } from "./ui/icon"

const sections: [string, [string, string, IconName][]][] = [
  ["Traffic", [["/", "Overview", "overview"], ["/log", "Log", "log"], ["/live", "Live", "live"]]],
  [
    "Firewall",
    [
      ["/firewall/rules", "Rules", "rules"],
      ["/firewall/policies", "Policies", "matrix"],
      ["/firewall/groups", "Groups", "groups"],
      ["/firewall/zones", "Zones", "zones"],
      ["/firewall/nat", "NAT", "nat"],
      ["/firewall/simulate", "Simulate", "simulate"],
    ],
  ],
  [
    "Threats",
    [
      ["/ids", "Alerts", "alert"],
      ["/ids/config", "Inspection", "inspect"],
      ["/ids/categories", "Categories", "categories"],
      ["/ids/rules", "Own rules", "edit"],
      ["/ids/suppressions", "Suppressions", "mute"],
    ],
  ],
  ["Network", [["/qos", "Shaping", "gauge"]]],
  ["Fleet", [["/devices", "Routers", "device"]]],
]

export function Shell({ path, children }: { path: string; children: ComponentChildren }) {
  const { devices, device, filter } = useFleet()
  const [open, setOpen] = useState(false)
  const main = useRef<HTMLElement>(null)
  const dark = useTheme() === "dark"
  const zone = useZone()
  const first = useRef(true)

  // Who goes to another view by keyboard shall be there, not at its link.
  useEffect(() => {
    setOpen(false)
    if (first.current) first.current = false
    else main.current?.focus({ preventScroll: true })
    scrollTo(0, 0)
  }, [path])

  const to = (p: string) => withQuery(p, new URLSearchParams(), { device: filter })
  return (
    <div class={open ? "shell open" : "shell"} onKeyDown={(e) => e.key === "Escape" && setOpen(false)}>
      <a class="skip" href="#main" onClick={(e) => (e.preventDefault(), main.current?.focus())}>
        Skip to the content
      </a>
      <aside class="side">
        <a class="brand" href={to("/")}>
          <Icon name="rules" size={22} />
          ngfw.sh
        </a>
        <nav aria-label="Views" id="views">
          {sections.map(([name, links]) => (
            <div key={name} class="nav-section">
              <h2>{name}</h2>
              <ul>
                {links.map(([p, text, icon]) => (
                  <li key={p}>
                    <a href={to(p)} aria-current={p === path || (p === "/devices" && path.startsWith(p)) ? "page" : undefined}>
                      <Icon name={icon} />
                      {text}
                    </a>
                  </li>
                ))}
              </ul>
            </div>
          ))}
        </nav>
      </aside>
      <div class="page">
        <header class="bar">
          <IconButton class="menu-button" icon="menu" label="Views" aria-expanded={open} aria-controls="views" onClick={() => setOpen(!open)} />
          <div class="bar-device">
            {devices.data && devices.data.length > 1 ? (
              <label>
                <span class="hidden">Router</span>
                <select value={filter} onChange={(e) => setQuery({ device: e.currentTarget.value })}>
                  <option value="">{/^\/(firewall|qos|ids\/)/.test(path) ? `${devices.data[0]?.name} (first)` : "All routers"}</option>
                  {devices.data.map((d) => (
                    <option key={d.id} value={d.id}>
                      {d.name}
                    </option>
                  ))}
                </select>
              </label>
            ) : null}
            {devices.error?.passing ? (
              <span role="status">
                <Dot state="bad" label={`No connection: ${devices.error.message}`} />
              </span>
            ) : device && <Dot state={device.status === "online" ? "good" : device.status === "error" ? "bad" : "off"} label={`${device.name}: ${device.status}`} />}
          </div>
          <label class="bar-zone" title="Times are shown in this time zone">
            <Icon name="clock" size={16} />
            <span class="hidden">Time zone</span>
            <select value={zone} onChange={(e) => chooseZone(e.currentTarget.value as "UTC" | "local")}>
              <option value="local">{zone === "local" ? zoneName() : "Local time"}</option>
              <option value="UTC">UTC</option>
            </select>
          </label>
          <IconButton icon={dark ? "sun" : "moon"} label={dark ? "Light colours" : "Dark colours"} onClick={toggleTheme} />
          <IconButton icon="out" label="Log out" onClick={() => void logout()} />
        </header>
        <main id="main" ref={main} tabIndex={-1}>
          {children}
        </main>
      </div>
      {open && <div class="veil" onClick={() => setOpen(false)} />}
    </div>
  )
}
