// Package report holds the measurements of a benchmark, and writes them as
// Markdown, JSON and a chart. It measures nothing, and the only thing that it
// judges is whether a figure is within a bound that is printed beside it.
package report
