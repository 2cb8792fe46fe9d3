package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// watch notes the memory of the roles.
type watch struct {
	begun time.Time
	file  *os.File
	lines *bufio.Writer
	peaks map[string]map[int]float64           // MiB, by role and campaign
	shown map[string]map[time.Duration]float64 // the same by role and time, as fine as can be seen
}

// shownEvery is for how long one point of the picture stands: its peak.
const shownEvery = 5 * time.Second

func newWatch(path string) (*watch, error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &watch{
		begun: time.Now(), file: file, lines: bufio.NewWriter(file),
		peaks: map[string]map[int]float64{}, shown: map[string]map[time.Duration]float64{},
	}
	_, err = fmt.Fprintln(w.lines, "seconds,campaign,role,rss_mib")
	return w, err
}

func (w *watch) sample(campaign int, roles []*role) error {
	at := time.Since(w.begun)
	for _, r := range roles {
		mib, err := resident(r.cmd.Process.Pid)
		if err != nil {
			continue // it has just ended
		}
		if _, err := fmt.Fprintf(w.lines, "%.1f,%d,%s,%.1f\n", at.Seconds(), campaign, r.name, mib); err != nil {
			return err
		}
		if w.peaks[r.name] == nil {
			w.peaks[r.name], w.shown[r.name] = map[int]float64{}, map[time.Duration]float64{}
		}
		w.peaks[r.name][campaign] = max(w.peaks[r.name][campaign], mib)
		point := at.Truncate(shownEvery)
		w.shown[r.name][point] = max(w.shown[r.name][point], mib)
	}
	return nil
}

// resident returns the resident memory of a process in MiB.
func resident(pid int) (float64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, found := strings.Cut(string(status), "VmRSS:")
	if !found {
		return 0, errors.New("a process without memory")
	}
	kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
	return kib / 1024, err
}

func (w *watch) close() error { return errors.Join(w.lines.Flush(), w.file.Close()) }

// record is what windrow tells of a campaign beside its dataset.
type record struct {
	SHA256 string `json:"sha256"`
	Rows   int64  `json:"rows"`
	Shards int    `json:"shards"`
	Again  int64  `json:"duplicate_rows"`
}

func (c *campaign) readRecord() error {
	text, err := os.ReadFile(filepath.Join(c.dir, "soak.h5.run.json"))
	if err != nil {
		return err
	}
	return json.Unmarshal(text, &c.record)
}

// watched are the roles in the order in which they are shown.
var watched = []string{broker, producer, "merger", "worker 1", "worker 2"}

// report returns a table of the campaigns, with the peak of each process.
func report(campaigns []*campaign) string {
	var b strings.Builder
	b.WriteString("| campaign | rows | wall time | kills: broker, merger, workers | rows recorded twice | broker | producer | merger | workers | sha256 |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|\n")
	for _, c := range campaigns {
		peak := func(name string) string { return fmt.Sprintf("%.0f MiB", c.watch.peaks[name][c.number]) }
		fmt.Fprintf(&b, "| %d | %d | %.0f s | %d, %d, %d | %d | %s | %s | %s | %s, %s | %.8s |\n", c.number, c.record.Rows, c.took.Seconds(),
			c.kills[broker], c.kills["merger"], c.kills["worker 1"]+c.kills["worker 2"], c.record.Again,
			peak(broker), peak(producer), peak("merger"), peak("worker 1"), peak("worker 2"), c.record.SHA256)
	}
	return b.String()
}

var colors = map[string]color.Color{
	broker: color.RGBA{0, 90, 160, 255}, producer: color.RGBA{90, 90, 90, 255}, "merger": color.RGBA{200, 80, 0, 255},
	"worker 1": color.RGBA{0, 140, 70, 255}, "worker 2": color.RGBA{120, 190, 120, 255},
}

// draw draws the memory of the roles over time, and where campaigns begin.
func (w *watch) draw(path string, campaigns []*campaign) error {
	p := plot.New()
	p.X.Label.Text, p.Y.Label.Text = "minutes", "resident memory (MiB)"
	p.Y.Min = 0
	p.Add(plotter.NewGrid())
	for _, name := range watched {
		var points plotter.XYs
		for at := time.Duration(0); at < time.Since(w.begun); at += shownEvery {
			if mib, known := w.shown[name][at]; known {
				points = append(points, plotter.XY{X: at.Minutes(), Y: mib})
			}
		}
		line, err := plotter.NewLine(points)
		if err != nil {
			return fmt.Errorf("draw %s: %w", name, err)
		}
		line.Color = colors[name]
		p.Add(line)
		p.Legend.Add(name, line)
	}
	for _, c := range campaigns {
		line, err := plotter.NewLine(plotter.XYs{{X: c.begun.Minutes(), Y: 0}, {X: c.begun.Minutes(), Y: p.Y.Max}})
		if err != nil {
			return err
		}
		line.Color, line.Dashes = color.Gray{120}, []vg.Length{vg.Points(3), vg.Points(3)}
		p.Add(line)
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.Y.Max *= 1.3 // with room for the legend
	return p.Save(22*vg.Centimeter, 12*vg.Centimeter, path)
}
