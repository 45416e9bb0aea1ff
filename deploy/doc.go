// Package deploy holds what an installation is run and watched with: systemd
// units, a Prometheus configuration with alert rules, a Grafana dashboard. Its
// only Go content is the test that these name what the programs really export.
package deploy
