package lab

import (
	"fmt"
)

// Open returns a lab that is up.
func Open(name string) (*Lab, error) {
	l, err := Named(name)
	if err != nil {
		return nil, err
	}
	s, ok := l.State()
	switch {
	case !ok:
		return nil, fmt.Errorf("lab %s is not up: ngfw-lab up --name %s", name, name)
	case !s.Usable():
		return nil, fmt.Errorf("lab %s is left over from something that was cut short: ngfw-lab down --name %s removes it", name, name)
	}
	return l, nil
}
