import type { Schedule } from "../api/schema"
import { Check, TextField, type Errors } from "../ui/field"

const days = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]

interface Props {
  value?: Schedule
  onChange: (s: Schedule | undefined) => void
  errors: Errors
}

// ScheduleFields is when a rule holds, by the router's clock.
export function ScheduleFields({ value, onChange, errors }: Props) {
  const s = value ?? { enabled: false, days: [] }
  const toggle = (d: number) => onChange({ ...s, days: s.days.includes(d) ? s.days.filter((x) => x !== d) : [...s.days, d].sort() })
  return (
    <fieldset>
      <legend>Schedule</legend>
      <Check label="Only at certain times" checked={s.enabled} onChange={(enabled) => onChange({ ...s, enabled, start: s.start ?? "08:00", end: s.end ?? "17:59" })} />
      {errors.schedule && <p class="field-error">{errors.schedule}</p>}
      {s.enabled && (
        <>
          <div class="pair">
            <TextField label="From" name="schedule.start" type="time" value={s.start ?? ""} onInput={(start) => onChange({ ...s, start })} errors={errors} />
            <TextField label="To, this minute included" name="schedule.end" type="time" value={s.end ?? ""} onInput={(end) => onChange({ ...s, end })} errors={errors} hint="before From: over midnight" />
          </div>
          <div class="days" role="group" aria-label="Days; none is every day">
            {days.map((name, d) => (
              <Check key={d} label={name} checked={s.days.includes(d)} onChange={() => toggle(d)} />
            ))}
          </div>
        </>
      )}
    </fieldset>
  )
}
