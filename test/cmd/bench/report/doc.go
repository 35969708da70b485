// Package report holds what a benchmark measured, and writes it as Markdown,
// JSON and a chart. It measures nothing and judges nothing but whether a figure
// is within a bound that is named beside it.
package report
