package main

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/drawbridge-id/drawbridge/internal/steward"
)

func (c *cli) exception() *cobra.Command {
	cmd := family("exception", "What is out of the ordinary in what people hold")
	cmd.AddCommand(c.exceptionList())
	return cmd
}

func (c *cli) exceptionList() *cobra.Command {
	var kind, at string
	cmd := &cobra.Command{Use: "list", Short: "List exceptions, with who answers for each, why, and until when", Args: cobra.NoArgs,
		Long: "list shows access over several customers, above a ceiling, without an end where the policy wants one, administration\nwith operation in one hand, two of high risk, broken glass that nobody confirmed, and administrators who are held\nover. After a policy that may find others everybody is looked at anew; the list says so until that is done.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var whole steward.ExceptionPage
			whole.Exceptions = []steward.ExceptionView{}
			for q := (url.Values{"limit": {"200"}, "kind": {kind}, "area": {at}}); ; {
				var page steward.ExceptionPage
				if err := c.ask(cmd.Context(), http.MethodGet, "/exceptions?"+given(q).Encode(), nil, &page); err != nil {
					return err
				}
				all := append(whole.Exceptions, page.Exceptions...)
				whole, whole.Exceptions = page, all
				if page.Next == "" {
					return c.listExceptions(whole)
				}
				q.Set("after", page.Next)
			}
		}}
	cmd.Flags().StringVar(&kind, "kind", "", "only this kind")
	cmd.Flags().StringVar(&at, "at", "", "only at this scope and below")
	return cmd
}

func (c *cli) listExceptions(whole steward.ExceptionPage) error {
	if c.json {
		return c.print(whole)
	}
	if !whole.Complete {
		fmt.Fprintf(c.err, "This list is not complete: everybody is being looked at anew, %d of at most %d people so far.\n", whole.Looked, whole.People)
	}
	switch {
	case len(whole.Exceptions) == 0 && whole.Complete:
		fmt.Fprintln(c.out, "Nothing is out of the ordinary.")
		return nil
	case len(whole.Exceptions) == 0:
		fmt.Fprintln(c.out, "So far nothing was found.")
		return nil
	}
	w := tabwriter.NewWriter(c.out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "KIND\tPERSON\tHOLDS\tBY\tOWNER\tSINCE\tUNTIL\tREASON")
	for _, x := range whole.Exceptions {
		fmt.Fprintf(w, "%s\t%s\t%s @ %s\t%s\t%s\t%s\t%s\t%s\n", x.Kind, x.For.UserName, x.Grant, x.Area.Path, x.By, cmp.Or(strings.Join(x.Owners, ", "), "unowned"),
			x.Since.Local().Format(time.DateOnly), untilWords(x.Until), orDash(oneLine(x.Reason)))
	}
	return w.Flush()
}
