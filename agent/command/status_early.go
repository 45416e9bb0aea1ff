package command

import (
	"fmt"
	"strings"
	"time"

	"ngfw.sh/agent/control"
)

// dropListText tells of a list in a line.
func dropListText(l control.DropList) string {
	text := fmt.Sprintf("%s: %d prefixes, %d packets dropped", l.Name, l.Prefixes, l.Packets)
	if len(l.Zones) > 0 {
		text += ", from " + strings.Join(l.Zones, ", ")
	}
	if l.Confirmed > 0 {
		text += fmt.Sprintf(", confirmed %v ago", time.Since(time.Unix(l.Confirmed, 0)).Round(time.Second))
	}
	if l.Note != "" {
		text += "; " + l.Note
	}
	return text
}

// guardText tells of a guard in a line.
func guardText(g control.Guard) string {
	text := map[string]string{"source": "new flows of a source", "syn": "connections at an interface"}[g.Guard]
	if g.Zone != "" {
		text += " from " + g.Zone
	}
	return fmt.Sprintf("%s: %d a second, %d at once; %d packets dropped", text, g.PerSecond, g.Burst, g.Packets)
}
