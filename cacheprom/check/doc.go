// Package check holds tests alone: Prometheus itself reads the dashboard's queries and
// the alert rules, and runs the rules. It is a module of its own, since a server of
// Prometheus is much to depend on.
package check
