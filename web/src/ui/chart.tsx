// A chart over time, drawn by uPlot. Colours are the theme's; the figures are
// also a table, for whoever does not see the drawing.
import { useEffect, useRef } from "preact/hooks"
import uPlot from "uplot"
import "uplot/dist/uPlot.min.css"
import { clock, dateTime, useZone, zoneName } from "../format"
import { useTheme } from "../theme"

export interface Series {
  label: string
  color: string // a custom property, --accept
  values: number[]
}

interface Props {
  label: string
  times: number[]
  series: Series[]
  format: (n: number) => string
  until?: number // figures from this bucket on are not whole yet
  height?: number
  stacked?: boolean
  onSelect?: (from: number, to: number) => void
}

export function Chart({ label, times, series, format, until, height = 220, stacked, onSelect }: Props) {
  const box = useRef<HTMLDivElement>(null)
  const legend = useRef<HTMLDivElement>(null)
  const select = useRef(onSelect)
  select.current = onSelect
  const theme = useTheme()
  const zone = useZone()

  useEffect(() => {
    const el = box.current
    if (!el) return
    const color = (name: string) => resolved(el, name)
    const shown = stacked ? stack(series.map((s) => s.values)) : series.map((s) => s.values)
    const order = series.map((_, i) => i)
    if (stacked) order.reverse() // what is on top is drawn first
    const axis = { stroke: color("--muted"), grid: { stroke: color("--line"), width: 1 }, ticks: { show: false }, font: "12px system-ui, sans-serif" }
    const plot = new uPlot(
      {
        width: el.clientWidth,
        height,
        tzDate: (t) => (zone === "UTC" ? uPlot.tzDate(new Date(t * 1000), "UTC") : new Date(t * 1000)),
        padding: [8, 20, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: Boolean(select.current), y: false, setScale: false }, points: { size: 7 } },
        scales: { x: { time: true }, y: { range: (_u, _min, max) => [0, max > 0 ? max * 1.08 : 1] } },
        axes: [{ ...axis, grid: { show: false }, values: timeAxis, space: 70, size: 30 }, { ...axis, size: 58, values: (_u, v) => v.map(format) }],
        series: [
          {},
          ...order.map((i) => ({
            label: series[i].label,
            stroke: color(series[i].color),
            fill: color(series[i].color + "-fill"),
            width: 1.5,
            points: { show: false },
          })),
        ],
        hooks: {
          draw: [(u) => veil(u, until, color("--veil"))],
          setCursor: [
            (u) => {
              const i = u.cursor.idx
              if (!legend.current) return
              legend.current.textContent = i === null || i === undefined ? "" : `${dateTime(times[i])}   ${series.map((s) => `${s.label} ${format(s.values[i] ?? 0)}`).join("   ")}`
            },
          ],
          setSelect: [
            (u) => {
              if (u.select.width < 8) return
              const from = u.posToVal(u.select.left, "x")
              const to = u.posToVal(u.select.left + u.select.width, "x")
              u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
              select.current?.(Math.floor(from), Math.ceil(to))
            },
          ],
        },
      },
      [times, ...order.map((i) => shown[i])],
      el,
    )
    const size = new ResizeObserver(() => el.clientWidth && plot.setSize({ width: el.clientWidth, height }))
    size.observe(el)
    return () => {
      size.disconnect()
      plot.destroy()
    }
  }, [times, series, until, theme, zone, height, stacked, format])

  return (
    <figure class="chart">
      <div class="chart-legend" aria-hidden="true">
        {series.map((s) => (
          <span key={s.label} class="key">
            <span class={`swatch ${s.color.slice(2)}`} /> {s.label}
          </span>
        ))}
        {until !== undefined && <span class="muted">pale: still being counted</span>}
        <span class="chart-now" ref={legend} />
      </div>
      <div ref={box} class="chart-box" role="img" aria-label={`${label}; the figures are in the table below`} />
      <details class="chart-table">
        <summary>Figures as a table</summary>
        <div class="scroll" tabIndex={0} role="region" aria-label={`${label}: figures`}>
          <table>
            <thead>
              <tr>
                <th scope="col">Time ({zoneName()})</th>
                {series.map((s) => (
                  <th scope="col" class="num" key={s.label}>
                    {s.label}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((t, i) => (
                <tr key={t}>
                  <th scope="row">{dateTime(t)}</th>
                  {series.map((s) => (
                    <td class="num" key={s.label}>
                      {format(s.values[i] ?? 0)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  )
}

// resolved is a colour as a canvas takes it: of the theme, without light-dark().
function resolved(el: HTMLElement, name: string): string {
  const probe = el.appendChild(document.createElement("span"))
  probe.style.color = `var(${name})`
  const color = getComputedStyle(probe).color
  probe.remove()
  return color
}

// veil pales what is still being counted: it falls without anything having ended.
function veil(u: uPlot, until: number | undefined, color: string) {
  if (until === undefined) return
  const { left, top, width, height } = u.bbox
  const x = Math.max(left, u.valToPos(until, "x", true))
  u.ctx.fillStyle = color
  u.ctx.fillRect(x, top, left + width - x, height)
}

function stack(values: number[][]): number[][] {
  const out: number[][] = []
  values.forEach((v, i) => out.push(i === 0 ? v : v.map((n, j) => n + out[i - 1][j])))
  return out
}

function timeAxis(_u: uPlot, at: number[]): string[] {
  const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", timeZone: zoneName() })
  const days = at.length > 1 && at[1] - at[0] >= 43_200
  return at.map((t) => (days ? day.format(t * 1000) : clock(t).slice(0, at.length > 1 && at[1] - at[0] < 60 ? 8 : 5)))
}
