package compare

import (
	"context"
	"fmt"
	"runtime"
)

// paceEvery is after how many reads others are let run. Ristretto hands on 64
// accesses at a time, and loses them if three such hands wait already.
const paceEvery = 64

// cell is what one cache did on one trace.
type cell struct {
	hits, reads int
	lost        float64
}

// drive reads the trace. At a loader's pace what was stored has arrived before
// the next read, as it has when the load took a while, and accesses are not made
// faster than the policy can note them. In a tight loop nothing waits.
func drive(ctx context.Context, open Contender, u universe, t Trace, tight bool) (cell, error) {
	c, err := open.open(u, t.Capacity)
	if err != nil {
		return cell{}, fmt.Errorf("%s: %w", open.Name, err)
	}
	out := cell{reads: len(t.Reads)}
	err = out.run(ctx, c, t, tight)
	out.lost = c.lost()
	if e := c.close(); err == nil {
		err = e
	}
	if err != nil {
		return cell{}, fmt.Errorf("%s, %s: %w", open.Name, t.Shape, err)
	}
	return out, nil
}

func (out *cell) run(ctx context.Context, c cache, t Trace, tight bool) error {
	for i, id := range t.Reads {
		v, hit, err := c.read(id)
		switch {
		case err != nil:
			return err
		case v == nil || v.id != id:
			return fmt.Errorf("read %d, of %s, returned the value of another", i, keyOf(id))
		case hit:
			out.hits++
		case !tight:
			c.settle()
		}
		if i%paceEvery != 0 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !tight {
			runtime.Gosched()
		}
	}
	return nil
}
