//! From a path to a resource and its method.
//!
//! The most specific resource that has the method wins: a literal part before `{part}`, before
//! `{proxy+}`; if nothing below fits, the next one is tried.

use std::collections::HashMap;

/// Path parameters by name, still encoded, in the path's order.
pub type Parameters = Vec<(String, String)>;

/// Resources by path. `T` is what a method is bound to.
#[derive(Debug)]
pub struct Router<T> {
    root: Node<T>,
}

#[derive(Debug)]
struct Node<T> {
    literals: HashMap<String, Node<T>>,
    variable: Option<(String, Box<Node<T>>)>,
    greedy: Option<(String, HashMap<String, T>)>,
    methods: HashMap<String, T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Node { literals: HashMap::new(), variable: None, greedy: None, methods: HashMap::new() }
    }
}

impl<T> Default for Router<T> {
    fn default() -> Self {
        Router { root: Node::default() }
    }
}

impl<T> Router<T> {
    /// Adds the methods of the resource at `path` (`/pets/{id}`).
    pub fn add(&mut self, path: &str, methods: HashMap<String, T>) {
        let mut node = &mut self.root;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            let name = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            match name {
                Some(name) if name.ends_with('+') => {
                    node.greedy = Some((name.trim_end_matches('+').to_owned(), methods));
                    return;
                }
                Some(name) => {
                    let (known, next) =
                        node.variable.get_or_insert_with(|| (name.to_owned(), Box::default()));
                    name.clone_into(known);
                    node = next;
                }
                None => node = node.literals.entry(part.to_owned()).or_default(),
            }
        }
        node.methods = methods;
    }

    /// The method for a request; slashes at the ends do not count.
    pub fn find(&self, path: &str, method: &str) -> Option<(&T, Parameters)> {
        let path = path.trim_start_matches('/').trim_end_matches('/');
        let mut parameters = Vec::new();
        let found = self.root.find(path, method, &mut parameters)?;
        Some((found, parameters))
    }
}

fn pick<'a, T>(methods: &'a HashMap<String, T>, method: &str) -> Option<&'a T> {
    methods.get(method).or_else(|| methods.get("ANY"))
}

impl<T> Node<T> {
    fn find(&self, rest: &str, method: &str, parameters: &mut Parameters) -> Option<&T> {
        if rest.is_empty() {
            return pick(&self.methods, method);
        }
        let (part, below) = rest.split_once('/').unwrap_or((rest, ""));
        if let Some(found) =
            self.literals.get(part).and_then(|node| node.find(below, method, parameters))
        {
            return Some(found);
        }
        if let Some((name, node)) = &self.variable
            && !part.is_empty()
        {
            let before = parameters.len();
            parameters.push((name.clone(), part.to_owned()));
            if let Some(found) = node.find(below, method, parameters) {
                return Some(found);
            }
            parameters.truncate(before);
        }
        let (name, methods) = self.greedy.as_ref()?;
        let found = pick(methods, method)?;
        parameters.push((name.clone(), rest.to_owned()));
        Some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(paths: &[(&str, &str)]) -> Router<String> {
        let mut router = Router::default();
        for (path, methods) in paths {
            let bind = |method: &str| (method.to_owned(), format!("{method} {path}"));
            router.add(path, methods.split(' ').map(bind).collect());
        }
        router
    }

    #[test]
    fn the_most_specific_wins() {
        let router = router(&[
            ("/", "GET"),
            ("/pets", "GET POST"),
            ("/pets/{id}", "GET"),
            ("/pets/{id}/toys/{toy}", "GET"),
            ("/pets/special", "DELETE"),
            ("/{proxy+}", "ANY"),
        ]);
        let is = |method, path, bound: &str, parameters: &[(&str, &str)]| {
            let (found, seen) = router.find(path, method).unwrap();
            let seen: Vec<(&str, &str)> = seen.iter().map(|(n, v)| (&**n, &**v)).collect();
            assert_eq!((found.as_str(), seen.as_slice()), (bound, parameters), "{method} {path}");
        };
        is("GET", "/", "GET /", &[]);
        is("GET", "/pets/", "GET /pets", &[]);
        is("GET", "//pets", "GET /pets", &[]);
        is("PUT", "/pets", "ANY /{proxy+}", &[("proxy", "pets")]);
        is("GET", "/pets/7", "GET /pets/{id}", &[("id", "7")]);
        is("DELETE", "/pets/special", "DELETE /pets/special", &[]);
        is("GET", "/pets/special", "GET /pets/{id}", &[("id", "special")]);
        is("GET", "/pets/7/toys/x", "GET /pets/{id}/toys/{toy}", &[("id", "7"), ("toy", "x")]);
        is("GET", "/pets/7/toys", "ANY /{proxy+}", &[("proxy", "pets/7/toys")]);
        is("GET", "/a//b", "ANY /{proxy+}", &[("proxy", "a//b")]);
        assert!(router.find("/", "POST").is_none());
    }
}
